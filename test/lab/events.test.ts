/** `weftctl events` on a node of a lab: what the agent did, past and as it happens. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../lab/lab.ts';
import { eventually, labName, leftovers } from './ground.ts';

const name = labName('events');
const weftctl = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');
let lab: Lab;

const events = (...args: string[]) => lab.node('node-1').exec([weftctl, 'events', ...args]);

describe('weftctl events', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 2 });
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  it('past events: what the start did, oldest first, as text and as JSON', async () => {
    const { status, stdout } = await events();
    assert.equal(status, 0);
    assert.match(stdout, /^\d\d:\d\d:\d\d {2}info {3}agent\.started {2}agent started/m);
    assert.ok(stdout.indexOf('agent.started') < stdout.indexOf('agent.ready'));
    const json = (await events('-o', 'json')).stdout.trim().split('\n');
    assert.ok(json.map((line) => JSON.parse(line)).some(({ event }) => event === 'lease.acquired'));
    assert.equal((await events('-n', '1')).stdout.trim().split('\n').length, 1);
  });

  it('followed while drift is repaired and the agent restarts: both are printed', async () => {
    const node = lab.node('node-1');
    const [program = '', ...args] = node.command([weftctl, 'events', '-f']);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: node.environment() });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    try {
      // What is past is printed first: from then on it follows.
      await eventually(() => assert.match(output, /agent\.ready/));
      await node.mustExec(['ip', 'link', 'del', 'weft.1']);
      await eventually(() => assert.match(output, /agent\.ready.*reconcile\.changed .*weft\.1: create/s));
      await node.agent.stop('SIGKILL');
      await node.agent.start();
      await eventually(() => assert.match(output, /agent\.ready.*reconcile\.changed.*agent\.started/s));
    } finally {
      const closed = once(child, 'close');
      child.kill('SIGINT');
      await closed;
    }
  });

  it('agent that does not run: exit status 3, with the reason', async () => {
    const { agent } = lab.node('node-1');
    await agent.stop();
    const { status, stderr } = await events();
    assert.equal(status, 3);
    assert.match(stderr, /weftd does not run: nothing listens on 127\.0\.0\.1:9472/);
    await agent.start();
  });

  it('number of events that is none: refused', async () => {
    const { status, stderr } = await events('-n', 'many');
    assert.equal(status, 1);
    assert.match(stderr, /--number "many": expected a number from 0 to 1000/);
  });
});
