/** A real kube-apiserver on a real etcd for a test: on loopback, with TLS, RBAC and every way to authenticate. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '../../kubernetes/access.ts';
import { ApiClient } from '../../kubernetes/client.ts';
import { fixedCredentials, type Source } from '../../kubernetes/credentials.ts';
import { ensureKubernetes, programPath } from '../../lab/kubernetes/binaries.ts';
import { type Cleanup, freePort, startEtcd } from '../etcd/server.ts';

export interface Given {
  readonly token?: Source;
  readonly port?: number;
  readonly ca?: string;
}

export interface ApiServer {
  readonly folder: string;
  readonly port: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string;
  readonly caFile: string;
  /** May do everything. */
  readonly admin: ApiClient;
  readonly adminToken: string;
  /** With that token, at that port (a proxy's), or the server's own. */
  access(given?: Given): Access;
  client(given?: Given): ApiClient;
  /** A client certificate of that user, by the cluster's authority. */
  certificate(user: string, group?: string): { certFile: string; keyFile: string };
  stop(): Promise<void>;
  start(): Promise<void>;
}

export const adminToken = 'admin-token';

export async function startApiServer(
  t: Cleanup,
  options: { tokens?: Readonly<Record<string, string>>; flags?: readonly string[] } = {},
): Promise<ApiServer> {
  const binary = programPath(await ensureKubernetes(), 'kube-apiserver');
  const etcd = await startEtcd(t);
  const folder = mkdtempSync(join(tmpdir(), 'weft-apiserver-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, ...out('ca'), '-subj', '/CN=weft test CA', '-days', '2');
  const sign = (name: string, subject: string, extensions: string): void => {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    writeFileSync(join(folder, `${name}.ext`), extensions);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-out', `${name}.pem`, '-days', '2', '-extfile', `${name}.ext`],
    );
  };
  sign('server', '/CN=kube-apiserver', 'subjectAltName=IP:127.0.0.1,DNS:kubernetes\n');
  openssl('genrsa', '-out', 'sa.key', '2048');
  const tokens = { [adminToken]: 'admin,admin,system:masters', ...options.tokens };
  writeFileSync(
    join(folder, 'tokens.csv'),
    Object.entries(tokens)
      .map(([token, user]) => `${token},${user}\n`)
      .join(''),
  );
  const port = await freePort();
  const args = [
    `--etcd-servers=http://127.0.0.1:${etcd.members[0]?.port}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--tls-cert-file=${join(folder, 'server.pem')}`,
    `--tls-private-key-file=${join(folder, 'server.key')}`,
    `--client-ca-file=${join(folder, 'ca.pem')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://weft.test',
    `--service-account-key-file=${join(folder, 'sa.key')}`,
    `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--endpoint-reconciler-type=none',
    '--disable-admission-plugins=ServiceAccount',
    ...(options.flags ?? []),
  ];
  let server: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const closed = once(server, 'close');
    server.kill('SIGKILL');
    await closed;
  };
  const clients: ApiClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const caFile = join(folder, 'ca.pem');
  const ca = readFileSync(caFile, 'utf8');
  const access = (given: Given = {}): Access => ({
    server: new URL(`https://127.0.0.1:${given.port ?? port}`),
    source: 'the test',
    tlsServerName: undefined,
    ca: () => given.ca ?? ca,
    proxy: 'environment',
    credentials: fixedCredentials({ token: given.token ?? { text: adminToken } }),
    namespace: 'default',
  });
  const client = (given: Given = {}): ApiClient => {
    const made = new ApiClient({ access: access(given), userAgent: 'weft-test', env: {}, timeoutMs: 5000 });
    clients.push(made);
    return made;
  };
  const admin = client();
  const start = async (): Promise<void> => {
    // It dies with us, however we die.
    server = spawn('setpriv', ['--pdeathsig', 'KILL', binary, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    server.stderr?.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-4000);
    });
    for (let tries = 0; tries < 600; tries++) {
      if (server.exitCode !== null) throw new Error(`kube-apiserver ended: ${said}`);
      if (await isReady(admin)) return;
      await sleep(100);
    }
    throw new Error(`kube-apiserver is not ready: ${said}`);
  };
  await start();
  return {
    folder,
    port,
    ca,
    caFile,
    admin,
    adminToken,
    access,
    client,
    certificate: (user, group) => {
      sign(user, `${group === undefined ? '' : `/O=${group}`}/CN=${user}`, 'extendedKeyUsage=clientAuth\n');
      return { certFile: join(folder, `${user}.pem`), keyFile: join(folder, `${user}.key`) };
    },
    stop,
    start,
  };
}

const out = (name: string): string[] => ['-keyout', `${name}.key`, '-out', `${name}.pem`];

/** The namespace is the last thing that a new API server makes of what the tests use. */
async function isReady(admin: ApiClient): Promise<boolean> {
  const place = { group: '', version: 'v1', plural: 'namespaces', name: 'default' };
  const roles = { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'clusterroles', name: 'admin' };
  const signal = AbortSignal.timeout(2000);
  try {
    await admin.request({ verb: 'get', place, signal });
    await admin.request({ verb: 'get', place: roles, signal });
    return true;
  } catch {
    return false;
  }
}
