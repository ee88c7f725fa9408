/** `weftctl connectivity test` on a lab, and on its nodes as hosts that a stand-in of ssh reaches. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { answersIn, longestGap } from '../../cli/connectivity/during.ts';
import { type Outcome, run } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { eventually, labName } from './ground.ts';

const name = labName('reach');
const weftctl = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');
const UNHEALTHY = 2;

let lab: Lab;
let folder: string;

const connectivity = (...args: string[]): Promise<Outcome> => run([weftctl, 'connectivity', 'test', ...args]);
const pods = async (): Promise<string> =>
  (await Promise.all(lab.nodes.map((node) => node.mustExec(['ip', 'netns', 'list'])))).join('');

const chain = 'add table ip other; add chain ip other in { type filter hook input priority -300; }';
const blocking = `${chain}; add rule ip other in udp dport 8472 drop`;

describe('weftctl connectivity test', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 3 });
    folder = mkdtempSync(join(tmpdir(), 'weft-reach-'));
    // As ssh does, the words are put together for a shell.
    const cases = lab.nodes.map((node) => {
      const words = node.command(['sh', '-c']).map((word) => `'${word}'`);
      return `${node.name}) exec ${words.join(' ')} "$2" ;;`;
    });
    writeFileSync(join(folder, 'ssh'), `#!/bin/sh\ncase $1 in\n${cases.join('\n')}\nesac\n`);
    chmodSync(join(folder, 'ssh'), 0o755);
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await Lab.down(name);
  });

  it('healthy lab: every pair both ways, exit status 0, no pod is left', async () => {
    const { status, stdout, stderr } = await connectivity('--lab', name, '-o', 'json');
    assert.equal(status, 0, stderr);
    const { pairs } = JSON.parse(stdout);
    assert.equal(pairs.length, 6);
    assert.ok(
      pairs.every(
        ({ outcome, bytes }: { outcome: string; bytes: number }) => outcome === 'ok' && bytes === 1450,
      ),
    );
    assert.equal(await pods(), '');
  });

  it('nodes over ssh: the same', async () => {
    const ssh = ['--ssh', join(folder, 'ssh'), '--weftctl', weftctl];
    const { status, stdout, stderr } = await connectivity('node-1', 'node-2', ...ssh);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^node-1 +node-2 +10\.244\.\d+\.\d+ +ok$/m);
    assert.match(stdout, /every pod on 2 nodes reaches every other, with full-size packets too/);
    assert.equal(await pods(), '');
  });

  it('tunnel blocked to one node: its pairs are lost, the others are not, exit status 2', async () => {
    const node = lab.node('node-3');
    await node.mustExec(['nft', blocking]);
    try {
      const { status, stdout } = await connectivity('--lab', name);
      assert.equal(status, UNHEALTHY);
      assert.match(stdout, /^node-1 +node-2 .* ok$/m);
      assert.match(stdout, /^node-1 +node-3 .* lost$/m);
      assert.match(stdout, /4 of 6 pairs failed/);
    } finally {
      await node.mustExec(['nft', 'delete table ip other']);
    }
  });

  it('large packets dropped on the way: named as such', async () => {
    const node = lab.node('node-3');
    await node.mustExec(['nft', `${chain}; add rule ip other in udp dport 8472 ip length > 1400 drop`]);
    try {
      const { status, stdout } = await connectivity('--lab', name);
      assert.equal(status, UNHEALTHY);
      assert.match(stdout, /^node-1 +node-3 +10\.244\.\d+\.\d+ +packets of 1450 bytes lost$/m);
    } finally {
      await node.mustExec(['nft', 'delete table ip other']);
    }
  });

  it('during a restart of agents: nothing is lost; during a block, it is counted', async () => {
    const begun = join(folder, 'begun');
    const ended = join(folder, 'ended');
    const waiting = `touch ${begun}; while [ ! -e ${ended} ]; do sleep 0.1; done`;
    const restarted = connectivity('--lab', name, '--during', waiting, '-o', 'json');
    // The pods are there then.
    await eventually(() => assert.ok(existsSync(begun)));
    await Promise.all(lab.nodes.map(({ agent }) => agent.stop('SIGKILL')));
    await Promise.all(lab.nodes.map(({ agent }) => agent.start()));
    writeFileSync(ended, '');
    const quiet = await restarted;
    assert.equal(quiet.status, 0, quiet.stderr + quiet.stdout);
    const during = JSON.parse(quiet.stdout).during as { sent: number; lost: number }[];
    assert.ok(during.length === 6 && during.every(({ sent, lost }) => sent > 0 && lost === 0));
    const enter = lab.node('node-3').command(['nft']).join(' ');
    const block = `${enter} '${blocking}'; sleep 1; ${enter} 'delete table ip other'`;
    const { status, stdout, stderr } = await connectivity('--lab', name, '--during', block);
    assert.equal(status, UNHEALTHY, stderr);
    assert.match(stdout, /^node-1 +node-3 +\S+ +\d+ of \d+ +\d+ ms$/m);
    assert.match(stdout, /4 of 6 pairs lost packets meanwhile/);
  });

  it('one node alone, an unknown lab, a host without weft: one line, exit status 1', async () => {
    for (const [args, expected] of [
      [['local'], /give two nodes or more/],
      [['--lab', 'nowhere'], /nowhere/],
      [
        ['node-1', 'node-2', '--ssh', join(folder, 'ssh'), '--weftctl', '/nowhere/weftctl'],
        /\/nowhere\/weftctl/,
      ],
    ] as const) {
      const { status, stderr } = await connectivity(...args);
      assert.equal(status, 1);
      assert.match(stderr, expected);
      assert.ok(!stderr.includes('    at '), stderr);
    }
  });
});

it('answers of ping: which of a run were lost, and the longest stretch', () => {
  const answered = answersIn(
    '64 bytes: icmp_seq=1 ttl=62\n64 bytes: icmp_seq=4 ttl=62\n5 packets transmitted, 2 received',
  );
  assert.deepEqual(answered, [true, false, false, true, false]);
  assert.equal(longestGap(answered), 2);
});
