/** A cluster on a real etcd of three members, TLS on every connection: what its faults do not cost. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { overlaps } from '../../inet/cidr.ts';
import { Lab } from '../../lab/lab.ts';
import { readLeases } from '../../lab/leases.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { settle } from '../../lab/settle.ts';
import { labName, leftovers, whilePinging } from './ground.ts';

const name = labName('etcd');
let lab: Lab;

before(async () => {
  lab = await Lab.up({ name, store: 'etcd', etcdMembers: 3, nodes: 4, withoutAgents: ['node-4'] });
  await Promise.all(['node-1', 'node-2', 'node-3'].map((node) => lab.pod(node, `pod-${node}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

/** Every subnet's value with the revision that last wrote it, as etcd has them. */
async function records(): Promise<Map<string, string>> {
  const [member] = lab.etcd;
  const answer = JSON.parse(
    (await member?.ctl('get', '--prefix', '/coreos.com/network/subnets/', '--write-out', 'json')) ?? '',
  ) as { kvs: { key: string; value: string; mod_revision: number }[] };
  return new Map(answer.kvs.map(({ key, value, mod_revision }) => [key, `${mod_revision} ${value}`]));
}

async function assertWhole(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
  const subnets = (await readLeases(lab)).flatMap((lease) => lease.subnets);
  const pairs = subnets.flatMap((a, i) => subnets.slice(i + 1).map((b) => [a, b] as const));
  assert.ok(!pairs.some(([a, b]) => overlaps(a, b)), 'no two leases overlap');
}

const withoutLoss = (happen: () => Promise<void>): Promise<void> =>
  whilePinging([lab.podNamed('pod-node-1'), lab.podNamed('pod-node-2')], happen);

describe('a cluster on etcd', () => {
  it('is whole', assertWhole);

  it('takes in a new node while a member is gone', async () => {
    const [member] = lab.etcd.slice(-1);
    await member?.daemon.stop('SIGKILL');
    await lab.node('node-4').agent.start();
    await settle(lab.nodes);
    await lab.pod('node-4', 'pod-node-4');
    await assertWhole();
    await member?.daemon.start();
  });

  it('loses no packet and makes pods while all of etcd is gone, and puts nothing when it is back', async () => {
    const before = await records();
    await withoutLoss(async () => {
      await Promise.all(lab.etcd.map((member) => member.daemon.stop('SIGKILL')));
      const pod = await lab.pod('node-3', 'made-without');
      assert.deepEqual(lost(await lab.ping()), []);
      await pod.remove();
      await Promise.all(lab.etcd.map((member) => member.daemon.start()));
    });
    assert.deepEqual(await records(), before);
    await assertWhole();
  });

  it('has a node come up from its own disk while etcd is gone', async () => {
    await withoutLoss(async () => {
      await Promise.all(lab.etcd.map((member) => member.daemon.stop('SIGKILL')));
      const { agent } = lab.node('node-1');
      await agent.stop('SIGKILL');
      await agent.start();
      const pod = await lab.pod('node-1', 'made-after');
      assert.deepEqual(lost(await lab.ping()), []);
      await pod.remove();
      await Promise.all(lab.etcd.map((member) => member.daemon.start()));
    });
    await assertWhole();
  });

  it('loses no packet of a node that is cut off from etcd', async () => {
    const node = lab.node('node-1');
    const before = await records();
    await withoutLoss(async () => {
      await node.mustExec(['ip', 'route', 'add', 'blackhole', '192.168.187.0/24']);
      const pod = await lab.pod('node-1', 'made-cut-off');
      assert.deepEqual(lost(await lab.ping()), []);
      await pod.remove();
      await node.mustExec(['ip', 'route', 'delete', 'blackhole', '192.168.187.0/24']);
    });
    assert.deepEqual(await records(), before);
    await assertWhole();
  });
});
