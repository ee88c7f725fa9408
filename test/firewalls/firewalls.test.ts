/**
 * Host firewalls as they come, beside an agent that was there first or comes later: pods' packets and the tunnel's
 * pass, what the firewall keeps out it keeps out.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { world } from '../../lab/topology.ts';
import { eventually, labName, leftovers } from '../lab/ground.ts';
import { Firewalld } from './firewalld.ts';

const name = labName('fw');
let lab: Lab;
let node: LabNode;
let firewalld: Firewalld | undefined;

beforeEach(async () => {
  lab = await Lab.up({ name, nodes: 2, families: ['ipv4', 'ipv6'] });
  node = lab.node('node-1');
  for (const each of lab.nodes) await lab.pod(each.name, `on-${each.name}`);
});

afterEach(async () => {
  await firewalld?.stop();
  firewalld = undefined;
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

/** From pod to pod, both ways, and from the pod beside the firewall to the world. */
async function podsPass(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
  for (const address of Object.values(world)) {
    const ping = await lab.podNamed('on-node-1').exec(['ping', '-n', '-c', '1', '-W', '1', address]);
    assert.equal(ping.status, 0, ping.stdout);
  }
}

const PORT = 7777;

/** What listens on the node is still behind its firewall, for other nodes and for pods. */
async function nodeIsShut(): Promise<void> {
  const stop = new AbortController();
  const listener = `require('node:net').createServer().listen(${PORT}, '::')`;
  const listening = node.exec([process.execPath, '-e', listener], { signal: stop.signal });
  const connect = `require('node:net').connect(${PORT}, process.argv[1]).setTimeout(1000, () => process.exit(1))
    .on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  const reaches = async (from: Pick<LabNode, 'exec'>, address: string): Promise<boolean> =>
    (await from.exec([process.execPath, '-e', connect, address])).status === 0;
  try {
    await eventually(async () => assert.ok(await reaches(node, '127.0.0.1')));
    for (const from of [lab.node('node-2'), lab.podNamed('on-node-2')]) {
      for (const address of node.addresses) {
        assert.ok(!(await reaches(from, address)), `${from.name} gets through to ${address}`);
      }
    }
  } finally {
    stop.abort();
    await listening.catch((error: unknown) => assert.ok(stop.signal.aborted, String(error)));
  }
}

const rules = (): Promise<string> => node.mustExec(['nft', 'list', 'ruleset']);
const ours = async (): Promise<string[]> => (await rules()).match(/comment "weft: [^"]*"/g) ?? [];

for (const backend of ['nftables', 'iptables'] as const) {
  describe(`firewalld (${backend})`, () => {
    it('that comes after the agent, is reloaded, and is told of something', async () => {
      firewalld = await Firewalld.start(node, backend);
      await eventually(podsPass);
      await nodeIsShut();
      assert.equal((await firewalld.command('--reload')).status, 0);
      await eventually(podsPass);
      assert.equal((await firewalld.command('--add-port=8080/tcp')).status, 0);
      await eventually(podsPass);
      assert.equal((await firewalld.command('--complete-reload')).status, 0);
      await eventually(podsPass);
      await nodeIsShut();
    });

    it('that was there before the agent, and stays when the agent is gone', async () => {
      await node.agent.stop();
      await node.mustExec(['nft', 'flush', 'ruleset']);
      firewalld = await Firewalld.start(node, backend);
      await node.agent.start();
      await eventually(podsPass);
      await node.agent.stop('SIGKILL');
      await podsPass();
    });
  });
}

describe('ufw', () => {
  /** With a copy of its configuration, and where it writes to. */
  const ufw = (command: string): Promise<string> =>
    node.mustExec(['unshare', '--mount', 'sh', '-ec', `${privateCopy}\n${command}`]);
  const privateCopy = [
    'test -d /run/ufw-etc || cp -a /etc/ufw /run/ufw-etc',
    'test -f /run/ufw-default || cp -a /etc/default/ufw /run/ufw-default',
    'mount --bind /run/ufw-etc /etc/ufw',
    'mount --bind /run/ufw-default /etc/default/ufw',
  ].join('\n');

  it('that is enabled, reloaded and disabled', async () => {
    await ufw('ufw --force enable');
    assert.match(await ufw('iptables -S'), /^-P FORWARD DROP$/m);
    await eventually(podsPass);
    await nodeIsShut();
    await ufw('ufw reload');
    await eventually(podsPass);
    await ufw('ufw allow 8080/tcp');
    await podsPass();
    await nodeIsShut();
    await ufw('ufw disable');
    // Where nothing is dropped any more, no rule of ours is needed in it.
    await eventually(async () => assert.deepEqual(await ours(), []));
    await podsPass();
  });
});
