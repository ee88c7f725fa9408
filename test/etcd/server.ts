/** A real etcd for a test: one member or three, on loopback, with TLS or without, that go with the test. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdStoreConfig } from '../../agent/config/config.ts';
import { EtcdStore } from '../../agent/lease/store/etcd/etcd-store.ts';

export interface Cleanup {
  after(done: () => void | Promise<void>): void;
}

export interface Member {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
  kill(signal: NodeJS.Signals): void;
  /** Starts it again on the same data. */
  restart(): Promise<void>;
  /** Kills it and waits until it is gone. */
  end(): Promise<void>;
}

export interface Etcd {
  readonly members: readonly Member[];
  readonly folder: string;
  config(changes?: Partial<EtcdStoreConfig>): EtcdStoreConfig;
  open(changes?: Partial<EtcdStoreConfig>): EtcdStore;
  /** Runs etcdctl against the first member; answers what it printed. */
  ctl(...args: string[]): string;
}

export async function startEtcd(
  t: Cleanup,
  /** `clientAuth`: a certificate signed by `ca.pem` is required of clients. */
  options: { members?: number; tls?: boolean; clientAuth?: boolean; server?: Partial<CertificateWish> } = {},
): Promise<Etcd> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-etcd-'));
  const tls = options.tls ?? false;
  if (tls) makeCertificates(folder, options.server);
  const names = Array.from({ length: options.members ?? 1 }, (_, n) => `m${n + 1}`);
  const ports = new Map<string, { client: number; peer: number }>();
  for (const name of names) ports.set(name, { client: await freePort(), peer: await freePort() });
  const cluster = [...ports].map(([name, { peer }]) => `${name}=http://127.0.0.1:${peer}`).join(',');
  const scheme = tls ? 'https' : 'http';
  const members = [...ports].map(([name, { client, peer }]) => {
    const url = `${scheme}://127.0.0.1:${client}`;
    const args = [
      ...['--name', name, '--data-dir', join(folder, name), '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...[
        '--listen-peer-urls',
        `http://127.0.0.1:${peer}`,
        '--initial-advertise-peer-urls',
        `http://127.0.0.1:${peer}`,
      ],
      ...[
        '--initial-cluster',
        cluster,
        '--unsafe-no-fsync',
        '--heartbeat-interval',
        '50',
        '--election-timeout',
        '500',
      ],
      ...(tls ? ['--cert-file', join(folder, 'server.pem'), '--key-file', join(folder, 'server.key')] : []),
      ...(options.clientAuth ? ['--client-cert-auth', '--trusted-ca-file', join(folder, 'ca.pem')] : []),
    ];
    return new EtcdMember(name, client, args);
  });
  const opened: EtcdStore[] = [];
  t.after(async () => {
    for (const store of opened) store.close();
    await Promise.all(members.map((member) => member.end()));
    rmSync(folder, { recursive: true, force: true });
  });
  for (const member of members) member.start();
  await Promise.all(members.map((member) => member.listening()));
  const config = (changes: Partial<EtcdStoreConfig> = {}): EtcdStoreConfig => ({
    type: 'etcd',
    endpoints: members.map(({ port }) => ({ secure: tls, host: '127.0.0.1', port })),
    prefix: '/coreos.com/network',
    tls: tls ? { caFile: join(folder, 'ca.pem'), client: undefined } : undefined,
    login: undefined,
    leaseTtlSeconds: 86_400,
    peerGraceSeconds: 10,
    ...changes,
  });
  return {
    members,
    folder,
    config,
    open: (changes) => {
      const store = EtcdStore.open(config(changes));
      opened.push(store);
      return store;
    },
    ctl: (...args) =>
      execFileSync(
        'etcdctl',
        [
          `--endpoints=${scheme}://127.0.0.1:${members[0]?.port}`,
          ...(tls ? ['--cacert', join(folder, 'ca.pem')] : []),
          ...args,
        ],
        { env: { ...process.env, ETCDCTL_API: '3' }, encoding: 'utf8' },
      ),
  };
}

class EtcdMember implements Member {
  readonly name: string;
  readonly port: number;
  readonly #args: readonly string[];
  process: ChildProcess;

  constructor(name: string, port: number, args: readonly string[]) {
    this.name = name;
    this.port = port;
    this.#args = args;
    this.process = this.start();
  }

  /** It dies with us, however we die. */
  start(): ChildProcess {
    if (this.process?.exitCode === null && this.process.signalCode === null) return this.process;
    this.process = spawn('setpriv', ['--pdeathsig', 'KILL', 'etcd', ...this.#args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return this.process;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async restart(): Promise<void> {
    await this.end();
    this.start();
    await this.listening();
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const closed = once(this.process, 'close');
    this.process.kill('SIGKILL');
    await closed;
  }

  async listening(): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (await connects(this.port)) return;
      await sleep(50);
    }
    throw new Error(`etcd ${this.name} does not listen on port ${this.port}`);
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** How a certificate is to be. */
export interface CertificateWish {
  /** File name in the folder, without extension. */
  readonly name: string;
  /** `IP:127.0.0.1`, `DNS:example` */
  readonly san: string;
  /** Negative: it has expired. */
  readonly days: number;
  /** Name of the authority's files: `ca`. */
  readonly authority: string;
}

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeAuthority(folder: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=weft test ${name}`];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, '-days', '2'], { cwd: folder, stdio: 'pipe' });
}

export function makeCertificate(folder: string, { name, san, days, authority }: CertificateWish): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=etcd');
  writeFileSync(join(folder, 'san'), `subjectAltName=${san}\n`);
  openssl(
    ...['x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`],
    ...['-CAcreateserial', '-out', `${name}.pem`, '-days', `${days}`, '-extfile', 'san'],
  );
}

function makeCertificates(folder: string, server: Partial<CertificateWish> = {}): void {
  makeAuthority(folder, 'ca');
  makeCertificate(folder, { name: 'server', san: 'IP:127.0.0.1', days: 2, authority: 'ca', ...server });
}
