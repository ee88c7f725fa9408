/** Who may do what in a lab's cluster: a certificate authority, a token for each component, and kubeconfigs. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { cidr, nthIp } from '../../inet/cidr.ts';
import { formatIp } from '../../inet/ip.ts';
import { Authority } from '../authority.ts';
import { mustRun } from '../command.ts';

/** Paths of PEM files. */
interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface FileNames {
  readonly folder: string;
  readonly ca: KeyPair;
  /** The API server's own. */
  readonly server: KeyPair;
  /** The administrator's, which the API server shows to kubelets as well. */
  readonly client: KeyPair;
  readonly serviceAccountKey: string;
  /** `token,user,uid,groups`, as --token-auth-file takes it. */
  readonly tokens: string;
  readonly kubeconfig: (user: string) => string;
}

/** Users beside the nodes' kubelets, by the name of their kubeconfig. The names carry Kubernetes' own RBAC bindings. */
const users: Readonly<Record<string, { user: string; group?: string }>> = {
  admin: { user: 'admin', group: 'system:masters' },
  // Asks the parts of the control plane whether they are healthy.
  probe: { user: 'probe', group: 'system:masters' },
  'kube-controller-manager': { user: 'system:kube-controller-manager' },
  'kube-scheduler': { user: 'system:kube-scheduler' },
  'kube-proxy': { user: 'system:kube-proxy' },
};

/** Writes all of `files`; a kubeconfig for each of `users`, and one for each node's kubelet under the node's name. */
export async function makeCredentials(request: {
  files: FileNames;
  /** Of the API server. */
  address: string;
  nodes: readonly string[];
  /** Its name in kubeconfigs. */
  cluster: string;
  /** Networks of Services' addresses: the API server has the first of each. */
  services: readonly string[];
}): Promise<void> {
  const { files, address, nodes, cluster, services } = request;
  mkdirSync(files.folder, { recursive: true, mode: 0o700 });
  const authority = await Authority.make({ ...files.ca, name: 'weft lab' });
  const hosts = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'].map(
    (name) => `DNS:${name}`,
  );
  const addresses = [address, '127.0.0.1', ...services.map(firstService)].map((ip) => `IP:${ip}`);
  await Promise.all([
    authority.sign({ ...files.server, subject: '/CN=kube-apiserver', names: [...hosts, ...addresses] }),
    authority.sign({ ...files.client, subject: '/O=system:masters/CN=admin', names: ['DNS:admin'] }),
    mustRun(['openssl', 'genrsa', '-out', files.serviceAccountKey, '2048']),
  ]);
  const kubelets = nodes.map(
    (node) => [node, { user: `system:node:${node}`, group: 'system:nodes' }] as const,
  );
  const lines: string[] = [];
  for (const [name, { user, group }] of [...Object.entries(users), ...kubelets]) {
    const token = randomBytes(16).toString('hex');
    lines.push(`${token},${user},${user}${group ? `,"${group}"` : ''}\n`);
    const text = kubeconfig({
      trust: trustOf(name, files.ca.certificate),
      server: `https://${address}:6443`,
      cluster,
      name,
      token,
    });
    writeFileSync(files.kubeconfig(name), text, { mode: 0o600 });
  }
  writeFileSync(files.tokens, lines.join(''), { mode: 0o600 });
}

/** The address of a network's first Service, which is `kubernetes`. */
const firstService = (network: string): string => formatIp(nthIp(cidr(network), 1));

/** What a kubeconfig says of the server's certificate. */
const trustOf = (name: string, ca: string): Readonly<Record<string, unknown>> =>
  name === 'probe'
    ? { 'insecure-skip-tls-verify': true }
    : { 'certificate-authority-data': readFileSync(ca).toString('base64') };

function kubeconfig(from: {
  trust: Readonly<Record<string, unknown>>;
  server: string;
  cluster: string;
  name: string;
  token: string;
}): string {
  const { trust, server, cluster, name, token } = from;
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster, cluster: { server, ...trust } }],
    users: [{ name, user: { token } }],
    contexts: [{ name: cluster, context: { cluster, user: name } }],
    'current-context': cluster,
  });
}
