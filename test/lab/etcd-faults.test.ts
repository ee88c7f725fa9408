/** What happens between nodes and a real etcd, by the nodes' and members' own firewalls: partitions, stalls, compaction. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EtcdMember } from '../../lab/etcd.ts';
import { Lab } from '../../lab/lab.ts';
import { lost } from '../../lab/ping.ts';
import { eventually, labName, leftovers, whilePinging } from './ground.ts';

const name = labName('etcd-faults');
const key = (subnet: string): string => `/coreos.com/network/subnets/${subnet}`;
/** A peer as flannel writes it; nobody answers there. */
const peer = (host: number): string =>
  `{"PublicIP":"192.168.188.${host}","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"0e:00:00:00:00:${host - 200}"}}`;
let lab: Lab;

before(async () => {
  lab = await Lab.up({ name, store: 'etcd', etcdMembers: 3, nodes: 3 });
  await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `pod-${node.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

interface Shell {
  exec(argv: readonly string[]): Promise<{ status: number | null; stderr: string }>;
}

/** Nothing of these ports passes any more, in neither direction, and nobody is told. */
async function cut(place: Shell, ports: readonly number[]): Promise<void> {
  const chain = (hook: string): string =>
    `chain ${hook} { type filter hook ${hook} priority -300; tcp dport { ${ports} } drop; tcp sport { ${ports} } drop; };`;
  const outcome = await place.exec(['nft', `table inet cut { ${chain('input')} ${chain('output')} }`]);
  assert.equal(outcome.status, 0, outcome.stderr);
}

async function mend(place: Shell): Promise<void> {
  const outcome = await place.exec(['nft', 'delete', 'table', 'inet', 'cut']);
  assert.equal(outcome.status, 0, outcome.stderr);
}

const member = (index: number): EtcdMember => {
  const found = lab.etcd[index];
  assert.ok(found);
  return found;
};

const put = (by: EtcdMember, subnet: string, host: number) => by.ctl('put', key(subnet), peer(host));

/** Of an agent: what its health says is wrong. */
async function reasons(node: string): Promise<string> {
  const { stdout } = await lab
    .node(node)
    .exec([
      'node',
      '-e',
      'fetch("http://127.0.0.1:9472/readyz").then(async (r) => console.log(await r.text()))',
    ]);
  return stdout;
}

/** Resolves once each of these nodes has the route to the subnet, or none has it any more. */
const routed = (nodes: readonly string[], subnet: string, wanted: boolean) =>
  eventually(async () => {
    for (const node of nodes) {
      const output = await lab.node(node).mustExec(['ip', 'route', 'show', subnet]);
      assert.equal(output.includes(subnet), wanted, `${node}: ${output}`);
    }
  }, 60_000);

const everyNode = ['node-1', 'node-2', 'node-3'];

/** Every subnet's last revision and value, as that member has them. */
async function records(by: EtcdMember): Promise<string[]> {
  const answer = JSON.parse(await by.ctl('get', '--prefix', key(''), '--write-out', 'json')) as {
    kvs: { key: string; value: string; mod_revision: number }[];
  };
  return answer.kvs.map(({ key: at, value, mod_revision }) => `${at} ${mod_revision} ${value}`);
}

const withoutLoss = (happen: () => Promise<void>): Promise<void> =>
  whilePinging([lab.podNamed('pod-node-1'), lab.podNamed('pod-node-2')], happen);

describe('I6, faults between nodes and etcd', () => {
  it('member cut off from the others: every node follows the majority, no packet is lost', async () => {
    await withoutLoss(async () => {
      await cut(member(0), [2380]);
      // It may have been their leader: then they choose another first.
      await eventually(() => put(member(1), '10.244.240.0-24', 240), 60_000);
      await routed(everyNode, '10.244.240.0/24', true);
      await mend(member(0));
      await member(1).ctl('del', key('10.244.240.0-24'));
      await routed(everyNode, '10.244.240.0/24', false);
    });
  });

  it('node cut off: reported, pods are made, compacted history is read again on return, no packet is lost', async () => {
    const node = lab.node('node-1');
    await put(member(1), '10.244.241.0-24', 241);
    await routed(everyNode, '10.244.241.0/24', true);
    await withoutLoss(async () => {
      await cut(node, [2379]);
      await eventually(async () => assert.match(await reasons('node-1'), /etcd/), 60_000);
      await member(1).ctl('del', key('10.244.241.0-24'));
      await put(member(1), '10.244.242.0-24', 242);
      const { header } = JSON.parse(await member(1).ctl('get', 'x', '--write-out', 'json')) as {
        header: { revision: number };
      };
      await member(1).ctl('compact', String(header.revision));
      const pod = await lab.pod('node-1', 'made-cut-off');
      assert.deepEqual(lost(await lab.ping()), []);
      await pod.remove();
      await mend(node);
      await routed(['node-1'], '10.244.242.0/24', true);
      await routed(['node-1'], '10.244.241.0/24', false);
    });
    await member(1).ctl('del', key('10.244.242.0-24'));
    await eventually(async () => assert.doesNotMatch(await reasons('node-1'), /etcd/), 60_000);
  });

  it('all members stopped for a while: no packet is lost, nothing is written', async () => {
    const before = await records(member(0));
    await withoutLoss(async () => {
      for (const one of lab.etcd) one.daemon.signal('SIGSTOP');
      await eventually(async () => {
        for (const node of everyNode) assert.match(await reasons(node), /etcd/);
      }, 60_000);
      assert.deepEqual(lost(await lab.ping()), []);
      for (const one of lab.etcd) one.daemon.signal('SIGCONT');
      await eventually(async () => {
        for (const node of everyNode) assert.doesNotMatch(await reasons(node), /etcd/);
      }, 60_000);
    });
    assert.deepEqual(await records(member(0)), before);
  });

  it('SIGTERM while etcd does not answer: the agent ends, and starts again with its saved lease', async () => {
    const { agent } = lab.node('node-3');
    await agent.stop('SIGTERM');
    await agent.start();
    await cut(lab.node('node-3'), [2379]);
    await eventually(async () => assert.match(await reasons('node-3'), /etcd/), 60_000);
    await agent.stop('SIGTERM');
    // And comes up from its own disk, with etcd still away.
    await agent.start();
    assert.deepEqual(lost(await lab.ping()), []);
    await agent.stop('SIGTERM');
    await mend(lab.node('node-3'));
    await agent.start();
    await eventually(async () => assert.doesNotMatch(await reasons('node-3'), /etcd/), 60_000);
    assert.doesNotMatch(agent.log(), /Warning|DEP0|at Object\.|node_modules/);
  });
});
