/** An agent that cannot go on ends: one line, status 1, within a second, at any point of its life. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { findProduct } from '../../lab/product.ts';
import { eventually, labName, leftovers } from './ground.ts';

/** Far above what a start takes on a busy machine; an agent that hangs never ends. */
const limit = { timeout: 60_000 };

/** A line for each: JSON of the log, or `weftd: ` and what to do. */
function lastLine(log: string): string {
  const lines = log.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^(\{.*\}|weftd: .+)$/, log);
  return lines.at(-1) ?? '';
}

describe('weftd at its end', () => {
  const name = labName('end');
  let node: LabNode;
  before(async () => {
    node = (await Lab.up({ name, nodes: 1, withoutAgents: true })).node('node-1');
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  const inTheWay = ['pods', 'attachments', 'tombstones', 'ipam', 'cni.sock'];
  for (const entry of inTheWay) {
    const kind = entry === 'cni.sock' ? 'a directory' : 'a file';
    it(
      `/run/weft/${entry} is ${kind}: the agent is ready, or ends with one line and status 1`,
      limit,
      async () => {
        const path = node.path(`/run/weft/${entry}`);
        rmSync(path, { recursive: true, force: true });
        mkdirSync(node.path('/run/weft'), { recursive: true });
        if (kind === 'a file') writeFileSync(path, '');
        else mkdirSync(path);
        try {
          const before = node.agent.log().length;
          const ended = node.agent.runToEnd();
          const ready = eventually(
            () => assert.match(node.agent.log().slice(before), /"event":"agent\.ready"/),
            50_000,
          );
          const first = await Promise.race([ended, ready.then(() => 'ready' as const)]);
          if (first === 'ready') {
            await node.agent.stop();
            return;
          }
          assert.equal(first.status, 1, first.log);
          lastLine(first.log);
        } finally {
          rmSync(path, { recursive: true, force: true });
        }
      },
    );
  }

  for (const directory of ['/run/weft', '/var/lib/weft']) {
    for (const [what, options] of [
      ['full', 'size=4k,nr_inodes=1'],
      ['read-only', 'ro'],
    ] as const) {
      it(`${directory} is ${what} at start: the agent ends with one line and status 1`, limit, async () => {
        mkdirSync(node.path(directory), { recursive: true });
        await node.mustExec(['mount', '-t', 'tmpfs', '-o', options, 'none', directory]);
        try {
          const { status, log } = await node.agent.runToEnd();
          assert.equal(status, 1, log);
          assert.match(lastLine(log), new RegExp(`${directory}|ENOSPC|EROFS|no space|read-only`));
        } finally {
          await node.mustExec(['umount', directory]);
        }
      });
    }
  }

  /** Loaded into the agent before its own code. */
  const faults: [what: string, code: string, line: RegExp][] = [
    [
      'a promise that nobody handles is rejected while it starts',
      'Promise.reject(new Error("injected"))',
      /injected/,
    ],
    ['a promise that nobody handles is rejected with no error', 'Promise.reject(undefined)', /undefined/],
    ['a timer throws while it starts', 'setTimeout(() => { throw new Error("injected") }, 300)', /injected/],
    ['a timer throws while it runs', 'setTimeout(() => { throw new Error("injected") }, 4000)', /injected/],
    [
      'a listener throws while it stops',
      'setTimeout(() => process.kill(process.pid, "SIGTERM"), 3000); process.on("SIGTERM", () => setImmediate(() => { throw new Error("injected") }))',
      /injected/,
    ],
  ];
  for (const [what, code, line] of faults) {
    it(`${what}: the agent ends with one line and status 1`, limit, async () => {
      const fault = node.path('/run/fault.cjs');
      writeFileSync(fault, code.startsWith('Promise') ? `setTimeout(() => { ${code} }, 300)` : code);
      const { status, log } = await node.agent.runToEnd({ NODE_OPTIONS: '--require=/run/fault.cjs' });
      assert.equal(status, 1, log);
      const last: unknown = JSON.parse(lastLine(log));
      assert.match(JSON.stringify(last), line);
      assert.match(JSON.stringify(last), /"event":"agent\.failed"/);
    });
  }

  it('its output is a pipe that nobody reads: a failure ends it all the same', limit, async () => {
    writeFileSync(
      node.path('/run/fault.cjs'),
      'setTimeout(() => { throw new Error("x".repeat(200000)) }, 300)',
    );
    const outcome = await node.exec(
      [
        'sh',
        '-c',
        'mkfifo /run/full; exec 3<>/run/full; "$0" "$1" >&3 2>&3; echo "ended with $?"',
        process.execPath,
        findProduct().weftd,
      ],
      { env: { ...process.env, NODE_OPTIONS: '--require=/run/fault.cjs' } },
    );
    assert.match(outcome.stdout, /^ended with (1|142)$/m);
  });
});
