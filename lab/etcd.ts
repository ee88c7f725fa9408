/**
 * The cluster's store where it is etcd: real members in network namespaces of their own, behind the nodes' gateways.
 * TLS with client certificates on every connection, as between machines.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from './authority.ts';
import { mustRun, type Outcome, run } from './command.ts';
import type { Configuration } from './configuration.ts';
import { Daemon } from './daemon.ts';
import { labFolder, netnsPath, nodeFolder, processMark } from './names.ts';
import type { LabNode } from './node.ts';
import { type Member, plainAddress, type Topology } from './topology.ts';

/** One member of the lab's etcd. */
export class EtcdMember {
  readonly name: string;
  readonly address: string;
  readonly daemon: Daemon;
  readonly #lab: string;

  constructor(topology: Topology, member: Member) {
    this.#lab = topology.lab;
    this.name = member.name;
    this.address = addressOf(member);
    const folder = nodeFolder(topology.lab, member.name);
    this.daemon = new Daemon({
      lab: topology.lab,
      label: member.name,
      logFile: join(folder, 'etcd.log'),
      pidFile: join(folder, 'etcd.json'),
      ready: { notify: { outside: join(folder, 'notify'), inside: join(folder, 'notify') } },
      command: () => this.#inNamespace(['etcd', ...etcdArguments(topology, member)]),
    });
  }

  /** Runs a program in the member's network; its failure is a status. */
  exec(argv: readonly string[]): Promise<Outcome> {
    return run(this.#inNamespace(argv), { env: { ...process.env, [processMark]: this.#lab } });
  }

  /** Runs etcdctl against this member. Throws `LabError` if it fails. Returns its output. */
  ctl(...args: string[]): Promise<string> {
    const tls = tlsFiles(this.#lab);
    const argv = ['etcdctl', `--endpoints=${endpoint(this.address)}`];
    argv.push(`--cacert=${tls.ca}`, `--cert=${tls.client}`, `--key=${tls.clientKey}`, ...args);
    const env = { ...process.env, ETCDCTL_API: '3', [processMark]: this.#lab };
    return mustRun(this.#inNamespace(argv), { env });
  }

  #inNamespace(argv: readonly string[]): string[] {
    return ['nsenter', `--net=${netnsPath(this.#lab, this.name)}`, '--', ...argv];
  }
}

/** Makes folders and certificates for the members that the topology has; to be called before they are started. */
export async function prepareEtcd(topology: Topology): Promise<void> {
  for (const { name } of topology.etcd)
    mkdirSync(nodeFolder(topology.lab, name), { recursive: true, mode: 0o700 });
  const tls = tlsFiles(topology.lab);
  const authority = await Authority.make({ certificate: tls.ca, key: tls.caKey, name: 'weft lab' });
  const names = topology.etcd.flatMap((member) => [`IP:${addressOf(member)}`, `DNS:${member.name}`]);
  await Promise.all([
    authority.sign({
      key: tls.serverKey,
      certificate: tls.server,
      subject: '/CN=etcd',
      names: [...names, 'IP:127.0.0.1'],
    }),
    authority.sign({ key: tls.clientKey, certificate: tls.client, subject: '/CN=weft', names: ['DNS:weft'] }),
  ]);
}

/** Puts what a node needs to reach etcd onto it. Returns the keys of `weft.yaml` that say so. */
export function etcdConfiguration(node: LabNode, topology: Topology): Configuration {
  const tls = tlsFiles(topology.lab);
  const folder = node.path('/etc/weft/etcd');
  mkdirSync(folder, { recursive: true });
  copyFileSync(tls.ca, join(folder, 'ca.pem'));
  copyFileSync(tls.client, join(folder, 'client.pem'));
  copyFileSync(tls.clientKey, join(folder, 'client.key'));
  return {
    store: {
      type: 'etcd',
      endpoints: topology.etcd.map((member) => endpoint(addressOf(member))),
      caFile: '/etc/weft/etcd/ca.pem',
      certFile: '/etc/weft/etcd/client.pem',
      keyFile: '/etc/weft/etcd/client.key',
    },
  };
}

function etcdArguments(topology: Topology, member: Member): string[] {
  const tls = tlsFiles(topology.lab);
  const address = addressOf(member);
  const cluster = topology.etcd.map((one) => `${one.name}=${peerUrl(addressOf(one))}`).join(',');
  return [
    ...['--name', member.name, '--data-dir', join(nodeFolder(topology.lab, member.name), 'data')],
    ...['--listen-client-urls', endpoint(address), '--advertise-client-urls', endpoint(address)],
    ...['--listen-peer-urls', peerUrl(address), '--initial-advertise-peer-urls', peerUrl(address)],
    ...['--initial-cluster', cluster, '--initial-cluster-token', topology.lab],
    ...[
      '--client-cert-auth',
      '--trusted-ca-file',
      tls.ca,
      '--cert-file',
      tls.server,
      '--key-file',
      tls.serverKey,
    ],
    ...['--peer-client-cert-auth', '--peer-trusted-ca-file', tls.ca],
    ...['--peer-cert-file', tls.server, '--peer-key-file', tls.serverKey],
    // Neighbours on one machine: a lost leader is noticed sooner than by the defaults.
    ...['--heartbeat-interval', '50', '--election-timeout', '500', '--logger', 'zap'],
  ];
}

const addressOf = (member: Member): string => plainAddress(member.addresses[0] ?? '');

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const endpoint = (address: string): string => `https://${bracketed(address)}:2379`;
const peerUrl = (address: string): string => `https://${bracketed(address)}:2380`;

function tlsFiles(lab: string) {
  const folder = join(labFolder(lab), 'tls');
  const file = (name: string) => join(folder, name);
  return {
    folder,
    ca: file('ca.pem'),
    caKey: file('ca.key'),
    server: file('server.pem'),
    serverKey: file('server.key'),
    client: file('client.pem'),
    clientKey: file('client.key'),
  };
}
