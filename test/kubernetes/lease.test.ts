/** Leases from Node objects against a real API server: a node's life, its peers, and what the Node says of itself. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { macsOfNode } from '../../agent/lease/kubernetes/seed-identity.ts';
import { formatCidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type Agent, type AgentOptions, mac, Nodes, peersOf, startAgent } from './nodes.ts';

let server: ApiServer;
let proxy: FaultProxy;
let cluster: Nodes;
const cleanups: (() => void | Promise<void>)[] = [];
const kept = { after: (done: () => void | Promise<void>) => void cleanups.push(done) };
const agents: Agent[] = [];

before(async () => {
  server = await startApiServer(kept);
  proxy = await startFaultProxy(kept, server);
  cluster = new Nodes(server);
});
afterEach(async () => {
  proxy.mend();
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
  await cluster.removeAll();
});
after(async () => {
  for (const done of cleanups.reverse()) await done();
});

function start(name: string, options: Partial<AgentOptions> = {}): Agent {
  const agent = startAgent({ server, name, port: proxy.port, ...options });
  agents.push(agent);
  return agent;
}

const flannel = (name: string) => `flannel.alpha.coreos.com/${name}`;

/** What a node says that runs flannel. */
const flannelNode = (publicIp: string, vtepMac: string) => ({
  [flannel('kube-subnet-manager')]: 'true',
  [flannel('backend-type')]: 'vxlan',
  [flannel('backend-data')]: JSON.stringify({ VNI: 1, VtepMAC: vtepMac }),
  [flannel('public-ip')]: publicIp,
});

test("node with a podCIDR: it is the subnet, and flannel's annotations are written with one patch", async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const from = proxy.requests.length;
  const holder = await start('node-1').acquired;
  assert.deepEqual(holder.lease.subnets.map(formatCidr), ['10.244.1.0/24']);
  await holder.updateAttributes({ ...holder.lease, extension: { localIps: [], version: '0.2.0' } }, signal());
  const annotations = await cluster.annotations('node-1');
  assert.deepEqual(annotations, {
    ...flannelNode('192.168.188.101', mac(1)),
    'weft/extension': '{"format":1,"version":"0.2.0"}',
  });
  assert.equal(await cluster.condition('node-1'), undefined);
  const agent = agents[0] as Agent;
  holder.networkReady();
  await agent.until(() => agent.log.some(({ fields }) => 'condition' in fields && fields.condition));
  assert.equal((await cluster.condition('node-1'))?.status, 'False');
  const count = proxy.requests.length - from;
  assert.ok(count <= 6, `${count} requests`);
});

const signal = (): AbortSignal => AbortSignal.timeout(10_000);

test('agent that is started again where nothing differs: one list, one watch, no patch', async () => {
  await cluster.create('node-1', ['10.244.1.0/24'], flannelNode('192.168.188.101', mac(1)));
  await cluster.patch('node-1', {});
  const first = start('node-1');
  const holder = await first.acquired;
  holder.networkReady();
  await first.until(() => first.log.some(({ event }) => event === 'node.patched'));
  await first.stop();
  const from = proxy.requests.length;
  const second = start('node-1', { after: first });
  const again = await second.acquired;
  again.networkReady();
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  await second.until(() => again.peers.leases.size === 1);
  const methods = proxy.requests.slice(from).map(({ method, url }) => `${method} ${url.split('?')[0]}`);
  // The third asks for the podCIDR of the Node that is new.
  assert.deepEqual(methods, ['GET /api/v1/nodes', 'GET /api/v1/nodes', 'GET /api/v1/nodes/node-2']);
});

test('peer: known from the list, from the watch with one GET, changed and deleted', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  const agent = start('node-1');
  const holder = await agent.acquired;
  assert.equal(holder.peers.complete, true);
  assert.deepEqual(peersOf(holder.peers), { '10.244.2.0/24': `node-2 102 ${mac(2)}` });
  await cluster.create('node-3', []);
  await cluster.assign('node-3', ['10.244.3.0/24']);
  await cluster.patch('node-3', { metadata: { annotations: flannelNode('192.168.188.103', mac(3)) } });
  await agent.until(() => holder.peers.leases.size === 2);
  await cluster.patch('node-2', { metadata: { annotations: flannelNode('192.168.188.122', mac(2)) } });
  await agent.until(() => peersOf(holder.peers)['10.244.2.0/24'] === `node-2 122 ${mac(2)}`);
  await cluster.remove('node-2');
  await agent.until(() => holder.peers.leases.size === 1);
  assert.deepEqual(peersOf(holder.peers), { '10.244.3.0/24': `node-3 103 ${mac(3)}` });
});

test('two agents: each is the peer of the other', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24']);
  const [one, two] = [start('node-1'), start('node-2')];
  const [first, second] = await Promise.all([one.acquired, two.acquired]);
  await Promise.all([
    one.until(() => peersOf(first.peers)['10.244.2.0/24'] === `node-2 102 ${mac(2)}`),
    two.until(() => peersOf(second.peers)['10.244.1.0/24'] === `node-1 101 ${mac(1)}`),
  ]);
});

test('dual-stack Node with public-ip-overwrite for both families: announced beside the own ones', async () => {
  const overwrites = {
    [flannel('public-ip-overwrite')]: '203.0.113.1',
    [flannel('public-ipv6-overwrite')]: '2001:db8::1',
  };
  await cluster.create('node-1', ['10.244.1.0/24', 'fd00:10:244:1::/64'], overwrites);
  const attributes = {
    publicIps: [ip('192.168.188.101'), ip('fd00:188::1')],
    backend: { type: 'vxlan', vni: 1, vtepMac: mac(1), vtepMac6: mac(6) },
    extension: { localIps: [], version: '0.2.0' },
  };
  const holder = await start('node-1', { networks: ['10.244.0.0/16', 'fd00:10:244::/56'], attributes })
    .acquired;
  await holder.updateAttributes(attributes, signal());
  assert.deepEqual(await cluster.annotations('node-1'), {
    ...overwrites,
    ...flannelNode('203.0.113.1', mac(1)),
    [flannel('public-ipv6')]: '2001:db8::1',
    [flannel('backend-v6-data')]: JSON.stringify({ VNI: 1, VtepMAC: mac(6) }),
    'weft/extension': '{"format":1,"localIPs":["192.168.188.101","fd00:188::1"],"version":"0.2.0"}',
  });
});

test('public-ip-overwrite that is no address: reported on the Node, and the own address stays', async () => {
  await cluster.create('node-1', ['10.244.1.0/24'], { [flannel('public-ip-overwrite')]: 'router' });
  const agent = start('node-1');
  const holder = await agent.acquired;
  await holder.updateAttributes({ ...holder.lease }, signal());
  assert.equal((await cluster.annotations('node-1'))[flannel('public-ip')], '192.168.188.101');
  assert.match(holder.peers.problems[0]?.reason ?? '', /public-ip-overwrite "router" is not an IPv4 address/);
});

test('node with a new disk: keeps the VTEP MAC that its Node announces', async () => {
  await cluster.create('node-1', ['10.244.1.0/24'], flannelNode('192.168.188.101', mac(77)));
  const place = { client: server.client(), annotationPrefix: 'flannel.alpha.coreos.com' };
  const more = { onWaiting: () => undefined, signal: signal() };
  assert.deepEqual(await macsOfNode({ ...place, nodeName: 'node-1', ...more }), { ipv4: mac(77) });
  assert.deepEqual(await macsOfNode({ ...place, nodeName: 'node-2', ...more }), {});
});

test('annotations of this node that somebody removes: written again', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const agent = start('node-1');
  const holder = await agent.acquired;
  await holder.updateAttributes({ ...holder.lease }, signal());
  const patched = (): number => agent.log.filter(({ event }) => event === 'node.patched').length;
  await agent.until(() => patched() === 1);
  await cluster.patch('node-1', { metadata: { annotations: { [flannel('public-ip')]: null } } });
  await agent.until(() => patched() === 2);
  assert.equal((await cluster.annotations('node-1'))[flannel('public-ip')], '192.168.188.101');
});

test('annotations that another program keeps changing: written ever less often, and reported', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const agent = start('node-1');
  const holder = await agent.acquired;
  const patched = (): number => agent.log.filter(({ event }) => event === 'node.patched').length;
  for (let count = 1; holder.peers.problems.length === 0; count++) {
    await agent.until(() => patched() === count);
    await cluster.patch('node-1', {
      metadata: { annotations: { [flannel('public-ip')]: '192.168.188.199' } },
    });
  }
  assert.match(
    holder.peers.problems[0]?.reason ?? '',
    /another program keeps changing its annotations; stop flannel/,
  );
  assert.ok(patched() <= 6);
});

test('Node without podCIDR: reported in log, status, condition and Event; taken once it is set', async () => {
  await cluster.create('node-1', []);
  const agent = start('node-1');
  await agent.until(() => agent.log.some(({ event }) => event === 'node.patched'));
  const words =
    /Node node-1: it has no podCIDR: start .* --allocate-node-cidrs=true --cluster-cidr=10.244.0.0\/16/;
  assert.match(agent.waiting.at(-1) ?? '', words);
  const condition = await cluster.condition('node-1');
  assert.equal(condition?.status, 'True');
  assert.match(condition?.message ?? '', words);
  await eventually(async () => (await cluster.events('node-1')).some((text) => words.test(text)));
  await cluster.assign('node-1', ['10.244.9.0/24']);
  const holder = await agent.acquired;
  assert.equal(holder.lease.key, '10.244.9.0-24');
  holder.networkReady();
  await eventually(async () => (await cluster.condition('node-1'))?.status === 'False');
});

/** What the API server tells only when asked. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('podCIDR outside the network, or of another family: the reason says what to set', async () => {
  await cluster.create('node-1', ['10.99.1.0/24']);
  const agent = start('node-1');
  await agent.until(() => agent.waiting.length > 0);
  assert.match(
    agent.waiting[0] ?? '',
    /podCIDR 10.99.1.0\/24 is outside the network 10.244.0.0\/16: set network/,
  );
  await cluster.create('node-2', ['10.244.2.0/24']);
  const dual = start('node-2', { networks: ['10.244.0.0/16', 'fd00:10:244::/56'] });
  await dual.until(() => dual.waiting.length > 0);
  assert.match(
    dual.waiting[0] ?? '',
    /have no IPv6 subnet: give kube-controller-manager a cluster CIDR of that family/,
  );
});

test('Node that does not exist: waited for by its name, and its subnet is taken once it is registered', async () => {
  const agent = start('node-1');
  await agent.until(() => agent.waiting.length > 0);
  assert.match(agent.waiting[0] ?? '', /lease: Node node-1 does not exist: .* set NODE_NAME/);
  await cluster.create('node-1', ['10.244.1.0/24']);
  assert.equal((await agent.acquired).lease.key, '10.244.1.0-24');
});

test('Node deleted: the lease ends with the reason; held again once created with the same podCIDR', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const agent = start('node-1');
  const holder = await agent.acquired;
  await holder.updateAttributes({ ...holder.lease }, signal());
  assert.deepEqual(agent.leaseFile().deadlineMs, null);
  await cluster.remove('node-1');
  await agent.until(() => holder.status.phase === 'lost');
  assert.equal(agent.leaseFile().deadlineMs, 0);
  assert.match(
    agent.leaseFile().reason ?? '',
    /Node node-1 was deleted, and its subnet 10.244.1.0\/24 may be given to another/,
  );
  await cluster.create('node-1', ['10.244.1.0/24']);
  await agent.until(() => holder.status.phase === 'held');
  assert.equal(agent.leaseFile().deadlineMs, null);
  await eventually(async () => flannel('public-ip') in (await cluster.annotations('node-1')));
});

test('Node created again with another podCIDR: no new pods, and condition and Event say what to do', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const agent = start('node-1');
  const holder = await agent.acquired;
  await holder.updateAttributes({ ...holder.lease }, signal());
  proxy.spoil(() => 'cut');
  proxy.cutAll();
  await cluster.remove('node-1');
  await cluster.create('node-1', ['10.244.7.0/24']);
  proxy.mend();
  const words =
    /again with podCIDR 10.244.7.0\/24, and running pods have .* of 10.244.1.0\/24.*drain the node, delete the pods .*, then restart weftd/;
  await agent.until(() => holder.status.phase === 'lost' && words.test(holder.status.reason ?? ''));
  assert.equal(holder.lease.key, '10.244.1.0-24');
  assert.equal(agent.leaseFile().deadlineMs, 0);
  await eventually(async () => words.test((await cluster.condition('node-1'))?.message ?? ''));
  await eventually(async () => (await cluster.events('node-1')).some((text) => words.test(text)));
  assert.deepEqual(await cluster.annotations('node-1'), {});
  // Started again while pods have the old addresses, and once they are gone.
  await agent.stop();
  const bound = start('node-1', { after: agent, hasPodsIn: () => true });
  const lost = await bound.acquired;
  assert.equal(lost.status.phase, 'lost');
  assert.equal(lost.lease.key, '10.244.1.0-24');
  await bound.stop();
  const drained = start('node-1', { after: agent });
  const renewed = await drained.acquired;
  assert.equal(renewed.lease.key, '10.244.7.0-24');
  await eventually(async () => flannel('public-ip') in (await cluster.annotations('node-1')));
});

test('peer created again with another podCIDR while disconnected: only the new subnet is left', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  await cluster.create('node-3', ['10.244.3.0/24'], flannelNode('192.168.188.103', mac(3)));
  const agent = start('node-1');
  const holder = await agent.acquired;
  proxy.spoil(() => 'cut');
  proxy.cutAll();
  await agent.until(() => holder.status.phase === 'away');
  await cluster.remove('node-2');
  await cluster.create('node-2', ['10.244.8.0/24'], flannelNode('192.168.188.102', mac(2)));
  assert.equal(holder.peers.leases.size, 2);
  proxy.mend();
  await agent.until(() => '10.244.8.0/24' in peersOf(holder.peers) && holder.peers.leases.size === 2);
  assert.deepEqual(Object.keys(peersOf(holder.peers)).sort(), ['10.244.3.0/24', '10.244.8.0/24']);
  assert.equal(holder.status.phase, 'held');
});

test("garbage in another node's annotations: the peer keeps what it said, a new one is left out", async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  const agent = start('node-1');
  const holder = await agent.acquired;
  const garbage: readonly object[] = [
    { [flannel('public-ip')]: 'nowhere' },
    { [flannel('backend-data')]: '{"VNI":' },
    { [flannel('backend-data')]: '{"VNI":1,"VtepMAC":"none"}' },
    { [flannel('kube-subnet-manager')]: null },
    { [flannel('public-ip')]: null, [flannel('backend-type')]: null },
  ];
  for (const annotations of garbage) {
    await cluster.patch('node-2', { metadata: { annotations } });
    await agent.until(() => holder.peers.problems.some(({ key }) => key === 'Node node-2'));
    assert.deepEqual(peersOf(holder.peers), { '10.244.2.0/24': `node-2 102 ${mac(2)}` });
    await cluster.patch('node-2', { metadata: { annotations: flannelNode('192.168.188.102', mac(2)) } });
    await agent.until(() => holder.peers.problems.length === 0);
  }
  await cluster.create('node-4', ['10.244.4.0/24'], flannelNode('anywhere', mac(4)));
  await cluster.create('node-5', ['10.244.5.0/24'], flannelNode('192.168.188.105', mac(5)));
  await agent.until(() => '10.244.5.0/24' in peersOf(holder.peers) && holder.peers.problems.length === 1);
  assert.match(
    holder.peers.problems[0]?.reason ?? '',
    /annotation public-ip is not an IPv4 address: that node cannot be reached/,
  );
  assert.equal('10.244.4.0/24' in peersOf(holder.peers), false);
  await eventually(async () =>
    (await cluster.events('node-1')).some((text) => text.startsWith('PeerInvalid: Node node-4: ')),
  );
});

test('two Nodes with one podCIDR, one public IP, or with ours: reported by the names of the Nodes', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  const agent = start('node-1');
  const holder = await agent.acquired;
  const reported = (node: string, words: RegExp): Promise<void> =>
    agent.until(() =>
      holder.peers.problems.some(({ key, reason }) => key === `Node ${node}` && words.test(reason)),
    );
  await cluster.create('node-3', ['10.244.2.0/24'], flannelNode('192.168.188.103', mac(3)));
  await reported('node-3', /its podCIDR 10.244.2.0\/24 is also that of Node node-2/);
  await cluster.create('node-4', ['10.244.4.0/24'], flannelNode('192.168.188.102', mac(4)));
  await reported('node-4', /its public IP 192.168.188.102 is also/);
  await cluster.create('node-5', ['10.244.5.0/24'], flannelNode('192.168.188.101', mac(5)));
  await reported('node-5', /its public IP 192.168.188.101 is ours/);
  await cluster.create('node-6', ['10.99.6.0/24'], flannelNode('192.168.188.106', mac(6)));
  await reported('node-6', /10.99.6.0\/24 is outside the cluster's network/);
  assert.equal(peersOf(holder.peers)['10.244.2.0/24'], `node-2 102 ${mac(2)}`);
});

test('boot without the API server: lease and peers of before, without a deadline', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
  const first = start('node-1');
  const before = await first.acquired;
  await before.updateAttributes({ ...before.lease }, signal());
  await first.stop();
  proxy.spoil(() => 'cut');
  const second = start('node-1', { after: first });
  const holder = await second.acquired;
  assert.equal(holder.status.phase, 'away');
  assert.deepEqual(second.leaseFile().deadlineMs, null);
  assert.deepEqual(peersOf(holder.peers), { '10.244.2.0/24': `node-2 102 ${mac(2)}` });
  await second.stop();
  await cluster.remove('node-1');
  const third = start('node-1', { after: first });
  const resumed = await third.acquired;
  assert.equal(resumed.status.phase, 'away');
  proxy.mend();
  await third.until(() => resumed.status.phase === 'lost');
  assert.match(third.leaseFile().reason ?? '', /Node node-1 was deleted/);
});

test('release: refused with the command that gives the subnet back', async () => {
  await cluster.create('node-1', ['10.244.1.0/24']);
  const holder = await start('node-1').acquired;
  await assert.rejects(holder.release(), /kubectl delete node node-1/);
});
