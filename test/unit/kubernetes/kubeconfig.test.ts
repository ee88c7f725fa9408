/** What a kubeconfig may not say, and what its current context amounts to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { AccessError } from '../../../kubernetes/errors.ts';
import { inClusterAccess } from '../../../kubernetes/in-cluster.ts';
import { kubeconfigAccess, parseKubeconfig } from '../../../kubernetes/kubeconfig.ts';

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly top?: object;
}

const kubeconfig = ({ cluster, user, top }: Parts): string =>
  stringify({
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'test', user: 'me' } }],
    clusters: [{ name: 'test', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'me', user: { ...user } }],
    ...top,
  });

const refusals: readonly (readonly [string, Parts, RegExp])[] = [
  [
    'no current context',
    { top: { 'current-context': '' } },
    /current-context is not set; set it with kubectl/,
  ],
  [
    'context not found',
    { top: { 'current-context': 'there' } },
    /context "there" not found in contexts; found: here/,
  ],
  ['cluster not found', { top: { clusters: [] } }, /cluster "test" not found in clusters; found: none/],
  [
    'user not found',
    { top: { users: [{ name: 'you', user: {} }] } },
    /user "me" not found in users; found: you/,
  ],
  [
    'server that is no URL',
    { cluster: { server: '10.0.0.1:6443' } },
    /server "10.0.0.1:6443" is not a URL; write https/,
  ],
  [
    'insecure-skip-tls-verify',
    { cluster: { 'insecure-skip-tls-verify': true } },
    /insecure-skip-tls-verify is unsupported: any host could pose as the API server; remove it/,
  ],
  [
    'password',
    { user: { username: 'admin', password: 'x' } },
    /user me: username is unsupported; API servers from 1.19/,
  ],
  ['auth-provider', { user: { 'auth-provider': { name: 'gcp' } } }, /auth-provider is unsupported; use exec/],
  ['impersonation', { user: { token: 'x', as: 'root' } }, /user me: as is unsupported/],
  ['certificate without key', { user: { 'client-certificate': 'a.pem' } }, /without the other; give both/],
  [
    'data that is not PEM',
    { cluster: { 'certificate-authority-data': 'AAAA' } },
    /certificate-authority-data is not PEM/,
  ],
  [
    'token over http to another host',
    { cluster: { server: 'http://10.0.0.1:8080' }, user: { token: 'x' } },
    /a token must not be sent over http:\/\/ to another host; use https/,
  ],
  [
    'exec without command',
    { user: { exec: { apiVersion: 'client.authentication.k8s.io/v1' } } },
    /exec names no command/,
  ],
  [
    'exec of an unknown version',
    { user: { exec: { apiVersion: 'client.authentication.k8s.io/v1alpha1', command: 'x' } } },
    /"client.authentication.k8s.io\/v1alpha1" is unsupported; supported: /,
  ],
  [
    'exec that needs a terminal',
    {
      user: {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: 'x',
          interactiveMode: 'Always',
        },
      },
    },
    /an agent has no terminal; use Never/,
  ],
  [
    'proxy of another kind',
    { cluster: { 'proxy-url': 'socks5://10.0.0.2' } },
    /proxy-url .* is unsupported; supported: http/,
  ],
];

for (const [what, parts, expected] of refusals) {
  test(`kubeconfig, ${what}: refused with the field and the remedy`, () => {
    assert.throws(
      () => parseKubeconfig('/etc/kubeconfig', kubeconfig(parts)),
      (error) => {
        assert.ok(error instanceof AccessError);
        assert.match(error.message, expected);
        assert.match(error.message, /^\/etc\/kubeconfig: /);
        return true;
      },
    );
  });
}

test('kubeconfig that does not exist or is not YAML: refused with its path', () => {
  assert.throws(
    () => kubeconfigAccess('/no/such/kubeconfig'),
    /failed to read the kubeconfig: ENOENT.*\/no\/such/,
  );
  assert.throws(
    () => parseKubeconfig('/etc/kubeconfig', 'a: ]'),
    /^AccessError: \/etc\/kubeconfig: not YAML: /,
  );
  assert.throws(() => parseKubeconfig('/etc/kubeconfig', 'text'), /not a kubeconfig/);
});

test('kubeconfig, relative paths and namespace: relative to its folder; namespace default', async () => {
  const text = kubeconfig({
    user: { tokenFile: 'token' },
    cluster: { 'certificate-authority': 'no-such-ca.pem' },
  });
  const access = parseKubeconfig('/etc/weft/kubeconfig', text);
  assert.equal(access.namespace, 'default');
  assert.throws(() => access.ca(), /failed to read the certificate authority .*\/etc\/weft\/no-such-ca.pem/);
  await assert.rejects(access.credentials.current(new AbortController().signal), /\/etc\/weft\/token/);
});

test('kubeconfig for kubectl proxy: http:// to loopback without credentials is served', async () => {
  const access = parseKubeconfig(
    '/etc/kubeconfig',
    kubeconfig({ cluster: { server: 'http://127.0.0.1:8001' } }),
  );
  assert.deepEqual(await access.credentials.current(new AbortController().signal), {
    token: undefined,
    certificate: undefined,
  });
});

test('service account outside a pod, or without token: refused with the remedy', () => {
  assert.throws(() => inClusterAccess({ env: {} }), /this is not a pod; set store.kubeconfig/);
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  assert.throws(
    () => inClusterAccess({ env, folder: '/no/such/folder' }),
    /automountServiceAccountToken: true/,
  );
});
