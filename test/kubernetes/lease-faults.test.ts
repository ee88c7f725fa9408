/** Leases from Node objects where the API server, the network to it, or the rights are not as they should be. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { ApiClient } from '../../kubernetes/client.ts';
import { ApiError } from '../../kubernetes/errors.ts';
import { nodes } from '../../kubernetes/resource.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type Agent, type AgentOptions, mac, Nodes, peersOf, startAgent } from './nodes.ts';

let server: ApiServer;
let proxy: FaultProxy;
let cluster: Nodes;
const cleanups: (() => void | Promise<void>)[] = [];
const kept = { after: (done: () => void | Promise<void>) => void cleanups.push(done) };
const agents: Agent[] = [];
const verbs = ['get', 'list', 'watch', 'patch', 'create'];

before(async () => {
  const tokens = Object.fromEntries(
    verbs.map((verb) => [`without-${verb}`, `without-${verb},without-${verb}`]),
  );
  server = await startApiServer(kept, { tokens });
  proxy = await startFaultProxy(kept, server);
  cluster = new Nodes(server);
  for (const verb of verbs) await grantAllBut(verb);
});
afterEach(async () => {
  proxy.mend();
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
  await cluster.removeAll();
});
after(async () => {
  for (const done of cleanups.reverse()) await done();
});

/** What the manifest grants, less one verb. */
async function grantAllBut(verb: string): Promise<void> {
  const name = `without-${verb}`;
  const allowed = (...wanted: string[]): string[] => wanted.filter((one) => one !== verb);
  const rules = [
    { apiGroups: [''], resources: ['nodes'], verbs: allowed('get', 'list', 'watch') },
    { apiGroups: [''], resources: ['nodes/status'], verbs: allowed('patch') },
    { apiGroups: [''], resources: ['events'], verbs: allowed('create') },
  ].filter(({ verbs }) => verbs.length > 0);
  const create = (plural: string, object: object) =>
    server.admin.request({
      verb: 'create',
      place: { group: 'rbac.authorization.k8s.io', version: 'v1', plural },
      body: { type: 'application/json', object },
      signal: AbortSignal.timeout(5000),
    });
  await create('clusterroles', { metadata: { name }, rules });
  await create('clusterrolebindings', {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }],
  });
}

function start(name: string, options: Partial<AgentOptions> = {}): Agent {
  const agent = startAgent({ server, name, port: proxy.port, ...options });
  agents.push(agent);
  return agent;
}

const flannelNode = (publicIp: string, vtepMac: string) => ({
  'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
  'flannel.alpha.coreos.com/backend-type': 'vxlan',
  'flannel.alpha.coreos.com/backend-data': JSON.stringify({ VNI: 1, VtepMAC: vtepMac }),
  'flannel.alpha.coreos.com/public-ip': publicIp,
});

async function twoNodes(): Promise<void> {
  await cluster.create('node-1', ['10.244.1.0/24']);
  await cluster.create('node-2', ['10.244.2.0/24'], flannelNode('192.168.188.102', mac(2)));
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const metadata = '"metadata":{"name":"node-2"}';
const faults: readonly (readonly [string, Fault])[] = [
  ['500', { code: 500, body: '{"kind":"Status","message":"etcdserver: leader changed"}' }],
  ['429', { code: 429, headers: { 'retry-after': '0.05' } }],
  ['503 of a load balancer', { code: 503, body: '<html>' }],
  [
    'half a JSON object',
    { code: 200, body: `{"type":"DELETED","object":{"kind":"Node",${metadata.slice(0, 20)}` },
  ],
  ['nothing', 'empty'],
  ['an empty list', { code: 200, body: '{"kind":"NodeList","metadata":{},"items":[]}' }],
  ['a deletion that names no uid', { code: 200, body: `{"type":"DELETED","object":{${metadata}}}\n` }],
  ['a closed connection', 'cut'],
  ['401', { code: 401 }],
];

for (const [what, fault] of faults) {
  test(`API server that answers ${what}: no peer is removed, and pods are made`, async () => {
    await twoNodes();
    const agent = start('node-1');
    const holder = await agent.acquired;
    proxy.spoil(() => fault);
    proxy.cutAll();
    await agent.until(() => holder.status.phase === 'away');
    assert.equal(agent.leaseFile().deadlineMs, null);
    assert.equal(holder.lease.key, '10.244.1.0-24');
    assert.deepEqual(peersOf(holder.peers), { '10.244.2.0/24': `node-2 102 ${mac(2)}` });
    await cluster.create('node-3', ['10.244.3.0/24'], flannelNode('192.168.188.103', mac(3)));
    // Also for an agent that is started meanwhile.
    await agent.stop();
    const again = start('node-1', { after: agent });
    const resumed = await again.acquired;
    assert.equal(resumed.status.phase, 'away');
    assert.deepEqual(Object.keys(peersOf(resumed.peers)), ['10.244.2.0/24']);
    proxy.mend();
    await again.until(() => resumed.status.phase === 'held' && resumed.peers.leases.size === 2);
  });
}

test('API server that is stopped for long: the lease is held, with the reason in the status', async () => {
  await twoNodes();
  const agent = start('node-1');
  const holder = await agent.acquired;
  await holder.updateAttributes({ ...holder.lease }, AbortSignal.timeout(10_000));
  await server.stop();
  await agent.until(() => holder.status.phase === 'away');
  assert.match(
    holder.status.reason ?? '',
    /failed to (watch|list) nodes at https:\/\/127.0.0.1:\d+: .*; retrying/,
  );
  const asked = proxy.requests.length;
  await new Promise<void>((resolve) => {
    proxy.spoil(() => {
      if (proxy.requests.length > asked + 5) resolve();
      return 'pass';
    });
  });
  assert.deepEqual(Object.keys(peersOf(holder.peers)), ['10.244.2.0/24']);
  assert.equal(agent.leaseFile().deadlineMs, null);
  await server.start();
  await agent.until(() => holder.status.phase === 'held');
  const unreachable = agent.log.filter(({ event }) => event === 'store.reachable');
  assert.equal(unreachable.length, 1);
});

for (const [verb, resource] of [
  ['list', 'nodes'],
  ['watch', 'nodes'],
  ['patch', 'nodes/status'],
] as const) {
  test(`account without the verb ${verb}: log, status and an Event on the Node name it`, async () => {
    await twoNodes();
    const agent = start('node-1', { token: `without-${verb}` });
    const words = new RegExp(`RBAC does not allow the verb "${verb}" on "${resource}"`);
    await agent.until(() =>
      agent.log.some(({ fields }) => words.test(JSON.stringify(fields).replaceAll('\\"', '"'))),
    );
    await eventually(async () => (await cluster.events('node-1')).some((text) => words.test(text)));
    if (verb === 'list') {
      await agent.until(() => agent.waiting.some((text) => words.test(text)));
      return;
    }
    const holder = await agent.acquired;
    assert.deepEqual(Object.keys(peersOf(holder.peers)), ['10.244.2.0/24']);
    assert.ok(holder.peers.problems.some(({ reason }) => words.test(reason)));
  });
}

test('account without the verb get: a peer that joins is reported, the rest is served', async () => {
  await twoNodes();
  const agent = start('node-1', { token: 'without-get' });
  const holder = await agent.acquired;
  await cluster.create('node-3', ['10.244.3.0/24'], flannelNode('192.168.188.103', mac(3)));
  const words = /RBAC does not allow the verb "get" on "nodes"/;
  await agent.until(() => holder.peers.problems.some(({ reason }) => words.test(reason)));
  assert.deepEqual(Object.keys(peersOf(holder.peers)), ['10.244.2.0/24']);
});

test('account that cannot create Events: the lease is held, and nothing else is disturbed', async () => {
  await cluster.create('node-1', ['10.244.1.0/24'], { 'flannel.alpha.coreos.com/public-ip-overwrite': 'x' });
  const agent = start('node-1', { token: 'without-create' });
  const holder = await agent.acquired;
  await agent.until(() => agent.log.some(({ event }) => event === 'node.eventFailed'));
  assert.equal(holder.status.phase, 'held');
});

test("certificate authority that is not the cluster's: reported, and the saved lease is used", async () => {
  await twoNodes();
  const agent = start('node-1');
  const holder = await agent.acquired;
  await agent.until(() => holder.peers.leases.size === 1);
  await agent.stop();
  const wrong = { ...server.access(), ca: () => rootCertificates[0] };
  const client = new ApiClient({ access: wrong, userAgent: 'weft-test', env: {} });
  kept.after(() => client.close());
  const error = await client
    .request({ verb: 'list', place: nodes, signal: AbortSignal.timeout(5000) })
    .catch((reason: unknown) => reason);
  assert.ok(error instanceof ApiError && error.kind === 'untrusted');
  const distrusting = start('node-1', { after: agent, ca: rootCertificates[0] });
  const resumed = await distrusting.acquired;
  assert.equal(resumed.status.phase, 'away');
  assert.match(resumed.status.reason ?? '', /its certificate is not trusted/);
  assert.deepEqual(Object.keys(peersOf(resumed.peers)), ['10.244.2.0/24']);
});

test('token that expires and is replaced on disk: reported, then held again without a restart', async () => {
  await twoNodes();
  const tokenFile = join(server.folder, 'rotated');
  writeFileSync(tokenFile, server.adminToken);
  const agent = start('node-1', { tokenFile });
  const holder = await agent.acquired;
  writeFileSync(tokenFile, 'expired');
  proxy.cutAll();
  const words = /401: the credentials of the test are not accepted/;
  await agent.until(() => words.test(holder.status.reason ?? ''));
  assert.equal(holder.status.phase, 'away');
  assert.equal(agent.leaseFile().deadlineMs, null);
  writeFileSync(tokenFile, server.adminToken);
  await agent.until(() => holder.status.phase === 'held');
});

test('patch for a Node that was created again under the name: refused by the uid in it', async () => {
  const before = await cluster.create('node-1', ['10.244.1.0/24']);
  const { uid } = before.metadata as { uid: string };
  await cluster.remove('node-1');
  await cluster.create('node-1', ['10.244.2.0/24']);
  const error = await server.admin
    .request({
      verb: 'patch',
      place: { ...nodes, name: 'node-1', subresource: 'status' },
      body: {
        type: 'application/strategic-merge-patch+json',
        object: { metadata: { uid, annotations: { 'weft/extension': '{}' } } },
      },
      signal: AbortSignal.timeout(5000),
    })
    .catch((reason: unknown) => reason);
  assert.ok(error instanceof ApiError);
  assert.equal(error.kind, 'invalid');
  assert.match(error.message, /metadata\.uid/);
  assert.deepEqual(await cluster.annotations('node-1'), {});
});
