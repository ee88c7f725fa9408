/** The API client against a real API server: each way to authenticate, and each way to fail. */
import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import type { Access } from '../../kubernetes/access.ts';
import { ApiClient } from '../../kubernetes/client.ts';
import { ApiError, type ApiErrorKind } from '../../kubernetes/errors.ts';
import { inClusterAccess } from '../../kubernetes/in-cluster.ts';
import type { JsonObject } from '../../kubernetes/json.ts';
import { kubeconfigAccess } from '../../kubernetes/kubeconfig.ts';
import { nodes } from '../../kubernetes/resource.ts';
import { type ApiServer, adminToken, startApiServer } from './api-server.ts';
import { type FaultProxy, startFaultProxy, startTunnelProxy } from './fault-proxy.ts';

let server: ApiServer;
let proxy: FaultProxy;
const cleanups: (() => void | Promise<void>)[] = [];
const kept = { after: (done: () => void | Promise<void>) => void cleanups.push(done) };

before(async () => {
  server = await startApiServer(kept, {
    tokens: { 'reader-token': 'reader,reader', 'nobody-token': 'nobody,nobody' },
  });
  proxy = await startFaultProxy(kept, server);
  await grant('reader', { kind: 'User', name: 'reader', apiGroup: 'rbac.authorization.k8s.io' });
  await grant('weft', { kind: 'ServiceAccount', name: 'weft', namespace: 'default' });
  await server.admin.request({
    verb: 'create',
    place: { group: '', version: 'v1', plural: 'serviceaccounts', namespace: 'default' },
    body: { type: 'application/json', object: { metadata: { name: 'weft' } } },
    signal: AbortSignal.timeout(5000),
  });
});
after(async () => {
  for (const done of cleanups.reverse()) await done();
});

/** May get and list nodes; not watch them. */
async function grant(name: string, subject: object): Promise<void> {
  const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1' };
  const create = (plural: string, object: object) =>
    server.admin.request({
      verb: 'create',
      place: { ...rbac, plural },
      body: { type: 'application/json', object },
      signal: AbortSignal.timeout(5000),
    });
  const rules = [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] }];
  await create('clusterroles', { metadata: { name }, rules });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
  await create('clusterrolebindings', { metadata: { name }, roleRef, subjects: [subject] });
}

function clientOf(access: Access, timeoutMs = 5000): ApiClient {
  const client = new ApiClient({ access, userAgent: 'weft-test/1 (linux)', env: {}, timeoutMs });
  kept.after(() => client.close());
  return client;
}

const listNodes = (client: ApiClient): Promise<JsonObject> =>
  client.request({ verb: 'list', place: nodes, signal: AbortSignal.timeout(10_000) });

let files = 0;
function kubeconfig(user: object, cluster: object = {}): string {
  const path = join(server.folder, `kubeconfig-${files++}`);
  const config = {
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'test', user: 'me', namespace: 'kube-system' } }],
    clusters: [
      {
        name: 'test',
        cluster: {
          server: `https://127.0.0.1:${server.port}`,
          'certificate-authority': 'ca.pem',
          ...cluster,
        },
      },
    ],
    users: [{ name: 'me', user }],
  };
  writeFileSync(path, stringify(config));
  return path;
}

async function refusal(promise: Promise<unknown>, kind: ApiErrorKind): Promise<string> {
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ApiError, String(error));
  assert.equal(error.kind, kind, error.message);
  return error.message;
}

test('kubeconfig with a client certificate, as files and as data: the request is served', async () => {
  const { certFile, keyFile } = server.certificate('weft-node', 'system:masters');
  const asFiles = kubeconfig({ 'client-certificate': certFile, 'client-key': keyFile });
  assert.equal((await listNodes(clientOf(kubeconfigAccess(asFiles)))).kind, 'NodeList');
  const [cert, key, ca] = [certFile, keyFile, server.caFile].map((file) =>
    readFileSync(file).toString('base64'),
  );
  const asData = kubeconfig(
    { 'client-certificate-data': cert, 'client-key-data': key },
    { 'certificate-authority': undefined, 'certificate-authority-data': ca },
  );
  assert.equal((await listNodes(clientOf(kubeconfigAccess(asData)))).kind, 'NodeList');
});

test("kubeconfig with a token: the request is served; the namespace is the context's", async () => {
  const access = kubeconfigAccess(kubeconfig({ token: adminToken }));
  assert.equal(access.namespace, 'kube-system');
  assert.equal((await listNodes(clientOf(access))).kind, 'NodeList');
});

test('token file that is replaced: the next request has the new token', async () => {
  const file = join(server.folder, 'token-of-before');
  writeFileSync(file, 'expired');
  const client = clientOf(kubeconfigAccess(kubeconfig({ tokenFile: file, token: 'the file comes first' })));
  const message = await refusal(listNodes(client), 'unauthorized');
  assert.match(
    message,
    /failed to list nodes at https:.*401: the credentials of .*kubeconfig-\d+ are not accepted/,
  );
  writeFileSync(file, `${adminToken}\n`);
  assert.equal((await listNodes(client)).kind, 'NodeList');
});

test('service account in a pod: the token is served, and read again after it was replaced', async () => {
  const folder = join(server.folder, 'serviceaccount');
  mkdirSync(folder);
  writeFileSync(join(folder, 'ca.crt'), server.ca);
  writeFileSync(join(folder, 'namespace'), 'weft-system');
  writeFileSync(join(folder, 'token'), serviceAccountToken({ lifetimeSeconds: -60 }));
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) };
  const access = inClusterAccess({ env, folder });
  assert.equal(access.namespace, 'weft-system');
  const client = clientOf(access);
  assert.match(await refusal(listNodes(client), 'unauthorized'), /expired/);
  const token = await server.admin.request({
    verb: 'create',
    place: {
      ...{ group: '', version: 'v1', plural: 'serviceaccounts' },
      ...{ namespace: 'default', name: 'weft', subresource: 'token' },
    },
    body: { type: 'application/json', object: { spec: { expirationSeconds: 600 } } },
    signal: AbortSignal.timeout(5000),
  });
  writeFileSync(join(folder, 'token'), (token.status as { token: string }).token);
  assert.equal((await listNodes(client)).kind, 'NodeList');
});

/** Signed with the cluster's key, as the API server would. */
function serviceAccountToken({ lifetimeSeconds }: { lifetimeSeconds: number }): string {
  const part = (object: object): string => Buffer.from(JSON.stringify(object)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    ...{ iss: 'https://weft.test', aud: ['https://weft.test'], sub: 'system:serviceaccount:default:weft' },
    ...{ iat: now - 3600, nbf: now - 3600, exp: now + lifetimeSeconds },
    'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'weft', uid: 'of-before' } },
  };
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  const key = readFileSync(join(server.folder, 'sa.key'));
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}

test('exec plugin with a token that expires: it runs again once the token has expired', async () => {
  const runs = join(server.folder, 'runs');
  const path = script(`
echo run >> ${runs}
case "$KUBERNETES_EXEC_INFO" in *'"certificate-authority-data":'*) ;; *) exit 9;; esac
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
printf '"status":{"token":"%s","expirationTimestamp":"%s"}}' \\
  "$TOKEN" "$(date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ)"`);
  const exec = (seconds: number) => ({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: `./${path}`,
      args: [String(seconds)],
      env: [{ name: 'TOKEN', value: adminToken }],
      interactiveMode: 'Never',
      provideClusterInfo: true,
    },
  });
  const countRuns = (): number => readFileSync(runs, 'utf8').split('\n').length - 1;
  const lasting = clientOf(kubeconfigAccess(kubeconfig(exec(3600))));
  await Promise.all([listNodes(lasting), listNodes(lasting)]);
  await listNodes(lasting);
  assert.equal(countRuns(), 1);
  const brief = clientOf(kubeconfigAccess(kubeconfig(exec(5))));
  await listNodes(brief);
  await listNodes(brief);
  assert.equal(countRuns(), 3);
});

test('exec plugin with a client certificate: the request is served', async () => {
  const { certFile, keyFile } = server.certificate('by-plugin', 'system:masters');
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1beta1',
    kind: 'ExecCredential',
    status: {
      clientCertificateData: readFileSync(certFile, 'utf8'),
      clientKeyData: readFileSync(keyFile, 'utf8'),
    },
  };
  const file = join(server.folder, 'credential.json');
  writeFileSync(file, JSON.stringify(credential));
  const exec = { apiVersion: 'client.authentication.k8s.io/v1beta1', command: 'cat', args: [file] };
  assert.equal((await listNodes(clientOf(kubeconfigAccess(kubeconfig({ exec }))))).kind, 'NodeList');
});

test('exec plugin that fails or does not exist: the error has its words, or the hint how to install it', async () => {
  const failing = script('echo "token store is locked" >&2; exit 3');
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: `./${failing}` };
  const message = await refusal(listNodes(clientOf(kubeconfigAccess(kubeconfig({ exec })))), 'credentials');
  assert.match(message, /failed to get credentials from .*: it ended with 3: token store is locked/);
  const absent = { ...exec, command: 'weft-no-such-plugin', installHint: 'run apt-get install it' };
  const hint = await refusal(
    listNodes(clientOf(kubeconfigAccess(kubeconfig({ exec: absent })))),
    'credentials',
  );
  assert.match(hint, /the program does not exist; run apt-get install it/);
});

function script(text: string): string {
  const name = `plugin-${files++}`;
  writeFileSync(join(server.folder, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(server.folder, name), 0o755);
  return name;
}

test('wrong certificate authority: the error says so, and where to correct it', async () => {
  const other = await import('node:tls').then(({ rootCertificates }) => rootCertificates[0] ?? '');
  const config = kubeconfig(
    { token: adminToken },
    {
      'certificate-authority': undefined,
      'certificate-authority-data': Buffer.from(other).toString('base64'),
    },
  );
  const message = await refusal(listNodes(clientOf(kubeconfigAccess(config))), 'untrusted');
  assert.match(message, /its certificate is not trusted: .*; set the certificate authority in .*kubeconfig-/);
});

test('name that the certificate does not have: refused, and served with tls-server-name', async () => {
  const elsewhere = { server: `https://localhost:${server.port}` };
  await refusal(
    listNodes(clientOf(kubeconfigAccess(kubeconfig({ token: adminToken }, elsewhere)))),
    'untrusted',
  );
  const named = { ...elsewhere, 'tls-server-name': 'kubernetes' };
  const access = kubeconfigAccess(kubeconfig({ token: adminToken }, named));
  assert.equal((await listNodes(clientOf(access))).kind, 'NodeList');
});

test('account without a verb: the error names the verb and the resource', async () => {
  const reader = clientOf(kubeconfigAccess(kubeconfig({ token: 'reader-token' })));
  await listNodes(reader);
  const signal = AbortSignal.timeout(5000);
  const watching = reader.request({ verb: 'watch', place: nodes, query: { watch: true }, signal });
  assert.match(await refusal(watching, 'forbidden'), /RBAC does not allow the verb "watch" on "nodes"/);
  const patching = reader.request({
    verb: 'patch',
    place: { ...nodes, name: 'node-1', subresource: 'status' },
    body: { type: 'application/merge-patch+json', object: {} },
    signal,
  });
  assert.match(await refusal(patching, 'forbidden'), /the verb "patch" on "nodes\/status"/);
});

test('proxy-url of the kubeconfig: requests go through its tunnel; a proxy that refuses is named', async () => {
  const tunnel = await startTunnelProxy(kept);
  const through = { 'proxy-url': `http://127.0.0.1:${tunnel.port}` };
  const client = clientOf(kubeconfigAccess(kubeconfig({ token: adminToken }, through)));
  assert.equal((await listNodes(client)).kind, 'NodeList');
  await listNodes(client);
  assert.deepEqual(tunnel.targets, [`127.0.0.1:${server.port}`]);
  const closed = await startTunnelProxy(kept, 403);
  const refused = { 'proxy-url': `http://127.0.0.1:${closed.port}` };
  const message = await refusal(
    listNodes(clientOf(kubeconfigAccess(kubeconfig({ token: adminToken }, refused)))),
    'unreachable',
  );
  assert.match(message, /failed to connect through proxy 127\.0\.0\.1:\d+: it answered 403/);
});

test('429 with Retry-After: nothing is sent before that time', async () => {
  const client = server.client({ port: proxy.port });
  let answered = 0;
  proxy.spoil(() =>
    answered++ === 0 ? { code: 429, headers: { 'retry-after': '1' }, body: 'busy' } : 'pass',
  );
  const error = await listNodes(client).catch((reason: unknown) => reason);
  assert.ok(error instanceof ApiError);
  assert.equal(error.kind, 'throttled');
  assert.equal(error.retryAfterMs, 1000);
  const before = performance.now();
  await listNodes(client);
  assert.ok(performance.now() - before > 900);
  proxy.mend();
});

test('answer that is not one of an API server: unreachable, with what is wrong with it', async () => {
  const client = server.client({ port: proxy.port });
  for (const [fault, words] of [
    [{ code: 500, body: 'etcdserver: leader changed' }, /the API server answered 500/],
    [{ code: 503 }, /answered 503/],
    [{ code: 200, body: '<html>login</html>' }, /not JSON/],
    [{ code: 200, body: '[]' }, /not JSON/],
    ['half', /aborted|not JSON/],
    ['empty', /empty/],
    ['cut', /hang up|ECONNRESET/],
  ] as const) {
    proxy.spoil(() => fault);
    assert.match(await refusal(listNodes(client), 'unreachable'), words);
  }
  proxy.spoil(() => 'hang');
  const hasty = clientOf(server.access({ port: proxy.port }), 300);
  assert.match(await refusal(listNodes(hasty), 'unreachable'), /no answer for 0.3 s; retrying/);
  proxy.mend();
  assert.equal((await listNodes(client)).kind, 'NodeList');
});

test('request: carries the user agent', async () => {
  await listNodes(clientOf(server.access({ port: proxy.port })));
  assert.equal(proxy.requests.at(-1)?.userAgent, 'weft-test/1 (linux)');
});

test('signal that fires: the request ends with its reason', async () => {
  proxy.spoil(() => 'hang');
  const stop = new AbortController();
  const asking = server
    .client({ port: proxy.port })
    .request({ verb: 'list', place: nodes, signal: stop.signal });
  setImmediate(() => stop.abort(new Error('told to stop')));
  await assert.rejects(asking, /told to stop/);
  proxy.mend();
});
