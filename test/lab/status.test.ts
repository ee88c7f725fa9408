/** `weftctl status` on nodes of a lab: it names what is wrong, with the agent and without. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { NodeStatus, PeerStatus } from '../../agent/status/node-status.ts';
import type { Outcome } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { eventually, labName, leftovers, withLab } from './ground.ts';

const name = labName('status');
const weftctl = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');
const HEALTHY = 0;
const UNHEALTHY = 2;
const AGENT_UNREACHABLE = 3;

let lab: Lab;

const run = (...args: string[]): Promise<Outcome> => lab.node('node-1').exec([weftctl, 'status', ...args]);

async function statusOf(...args: string[]): Promise<{ code: number; status: NodeStatus }> {
  const { status: code, stdout, stderr } = await run('-o', 'json', ...args);
  assert.ok(stdout, stderr);
  return { code, status: JSON.parse(stdout) };
}

const peer = (status: NodeStatus, named: string): PeerStatus => {
  const found = status.peers.find((one) => one.name === named);
  assert.ok(found, `${named} is not among the peers`);
  return found;
};

const onNode = (command: string): Promise<string> => lab.node('node-1').mustExec(['sh', '-c', command]);

describe('weftctl status', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 3, configuration: { probes: { period: '1s', failureThreshold: 2 } } });
    await lab.pod('node-1', 'a');
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  it('healthy cluster: exit status 0, every peer ok with a round trip', async () => {
    const { code, status } = await eventually(async () => {
      const read = await statusOf('--wait');
      assert.deepEqual(
        read.status.peers.map(({ state }) => state),
        ['ok', 'ok'],
      );
      return read;
    });
    assert.equal(code, HEALTHY);
    assert.equal(status.ready, true);
    assert.equal(status.pods.running, 1);
    assert.equal(status.lease.state, 'held');
    assert.deepEqual(status.problems, []);
    assert.ok(status.peers.every(({ rttMs, path }) => Number(rttMs) > 0 && path === 'vxlan'));
    const { stdout } = await run();
    assert.match(stdout, /^PEER +SUBNET +ADDRESS +PATH +STATE +RTT$/m);
    assert.match(stdout, /^node-2 +10\.244\.\d+\.0\/24 +192\.168\.188\.102 +vxlan +ok +[\d.]+ ms$/m);
    assert.ok(stdout.split('\n').every((line) => line.length <= 80));
  });

  it('peer whose agent was stopped: unreachable, with the reason, exit status 2', async () => {
    const { agent } = lab.node('node-2');
    await agent.stop('SIGKILL');
    try {
      const { code, status } = await eventually(async () => {
        const read = await statusOf();
        assert.equal(peer(read.status, 'node-2').state, 'unreachable');
        return read;
      });
      assert.equal(code, UNHEALTHY);
      assert.match(
        peer(status, 'node-2').reason ?? '',
        /does not answer probes: check that weftd runs there/,
      );
      assert.equal(peer(status, 'node-3').state, 'ok');
    } finally {
      await agent.start();
    }
  });

  it('agent stopped: exit status 3, lease and peers from disk and kernel', async () => {
    const { agent } = lab.node('node-1');
    await agent.stop();
    try {
      const { code, status } = await statusOf();
      assert.equal(code, AGENT_UNREACHABLE);
      assert.equal(status.agent.running, false);
      assert.match(status.agent.reason ?? '', /weftd does not run: nothing listens on 127\.0\.0\.1:9472/);
      assert.equal(status.lease.state, 'saved');
      assert.equal(peer(status, 'node-2').state, 'unknown');
      assert.equal(status.pods.running, 1);
    } finally {
      await agent.start();
    }
  });

  it('entries that are gone while no agent repairs them: named, one by one', async () => {
    const { agent } = lab.node('node-1');
    await agent.stop();
    try {
      const before = (await statusOf()).status;
      const { subnet } = peer(before, 'node-2');
      const gateway = subnet.replace('/24', '');
      await onNode(`ip route del ${subnet}; ip neigh del ${gateway} dev weft.1`);
      const { status } = await statusOf();
      assert.equal(peer(status, 'node-2').state, 'incomplete');
      assert.equal(peer(status, 'node-2').reason, 'neighbour entry missing, route missing');
      assert.equal(peer(status, 'node-3').state, 'unknown');
      await onNode('ip link del weft.1');
      const after = (await statusOf()).status;
      assert.equal(peer(after, 'node-3').reason, 'device weft.1 missing');
    } finally {
      await agent.start();
    }
  });

  it('agent started again: --wait returns 0 once all is repaired', async () => {
    const { code, status } = await statusOf('--wait', '30');
    assert.equal(code, HEALTHY);
    assert.ok(status.peers.every(({ state }) => state === 'ok' || state === 'unknown'));
  });

  it('bad options: refused with one line', async () => {
    for (const [args, expected] of [
      [['--wait', 'soon'], /--wait "soon": expected seconds/],
      [['-o', 'xml'], /Allowed choices are text, json, yaml/],
      [['--config', '/nowhere.yaml'], /\/nowhere\.yaml/],
    ] as const) {
      const { status: code, stderr } = await run(...args);
      assert.equal(code, 1);
      assert.match(stderr, expected);
    }
  });
});

describe('weftctl status before the first lease', () => {
  it('store unreachable: exit status 2 and what weftd waits for, also as JSON', async () => {
    await withLab({ name: labName('waiting'), nodes: 1, withoutAgents: true }, async ({ nodes: [node] }) => {
      assert.ok(node);
      const path = node.path('/etc/weft/weft.yaml');
      const store = { type: 'etcd', endpoints: ['http://192.168.188.250:2379'] };
      writeFileSync(path, stringify({ ...parse(readFileSync(path, 'utf8')), store }));
      const started = node.agent.start();
      started.catch(() => undefined);
      await eventually(async () => {
        const { status, stdout } = await node.exec([weftctl, 'status']);
        assert.match(stdout, /^weftd \S+ waits for its first subnet lease\n {2}.*192\.168\.188\.250/);
        assert.equal(status, UNHEALTHY);
      });
      const { status, stdout } = await node.exec([weftctl, 'status', '-o', 'json', '--wait', '1']);
      assert.equal(status, UNHEALTHY);
      const { waiting, ready, problems } = JSON.parse(stdout);
      assert.deepEqual([waiting, ready], ['lease', false]);
      assert.match(problems[0].text, /192\.168\.188\.250/);
      await node.agent.stop('SIGKILL');
      await assert.rejects(started);
    });
  });
});
