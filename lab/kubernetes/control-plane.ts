/**
 * Kubernetes' control plane on a host of the lab's underlay: etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler, each with its default behaviour but for what a namespace of one machine needs.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Family } from '../../inet/ip.ts';
import { mustRun, type Outcome, type RunOptions, run, runAttached } from '../command.ts';
import { Daemon, type Readiness } from '../daemon.ts';
import { LabError } from '../errors.ts';
import { controlPlane, netnsPath, nodeFolder, processMark } from '../names.ts';
import type { LabNode } from '../node.ts';
import { familyOf } from '../ping.ts';
import { clusterNetwork, plainAddress, type Topology } from '../topology.ts';
import { type KubernetesProgram, programPath } from './binaries.ts';
import { type FileNames, makeCredentials } from './credentials.ts';

/** What Services' addresses come from, per family. */
export const serviceNetwork: Readonly<Record<Family, string>> = {
  ipv4: '10.96.0.0/16',
  ipv6: 'fd00:10:96::/112',
};

const nodeMaskFlag: Readonly<Record<Family, string>> = {
  ipv4: '--node-cidr-mask-size-ipv4=24',
  ipv6: '--node-cidr-mask-size-ipv6=64',
};

const askWithin = '1s';
const assignedWithin = '60s';

export class ControlPlane {
  readonly #topology: Topology;
  readonly #programs: string;
  /** What the control plane says, and where. */
  readonly folder: string;
  readonly address: string;
  readonly files: FileNames;
  readonly etcd: Daemon;
  readonly apiserver: Daemon;
  readonly controllerManager: Daemon;
  readonly scheduler: Daemon;

  /** `programs`: the folder that `ensureKubernetes` returns. */
  constructor(request: { topology: Topology; programs: string }) {
    const { topology, programs } = request;
    const address = topology.controlPlane?.addresses[0];
    if (!address) throw new LabError('the lab has no control plane');
    this.#topology = topology;
    this.#programs = programs;
    this.address = plainAddress(address);
    this.folder = nodeFolder(topology.lab, controlPlane);
    this.files = fileNames(join(this.folder, 'pki'));
    const notify = join(this.folder, 'notify');
    this.etcd = this.#daemon('etcd', { notify: { outside: notify, inside: notify } }, () => [
      ...['etcd', '--data-dir', join(this.folder, 'etcd'), '--logger', 'zap'],
      ...['--quota-backend-bytes', String(2 ** 30)],
    ]);
    this.apiserver = this.#component('kube-apiserver', new URL('https://127.0.0.1:6443/readyz'), () =>
      apiserverFlags({ topology, address: this.address, files: this.files }),
    );
    this.controllerManager = this.#component(
      'kube-controller-manager',
      new URL('https://127.0.0.1:10257/healthz'),
      () => controllerManagerFlags({ topology, files: this.files }),
    );
    this.scheduler = this.#component('kube-scheduler', new URL('https://127.0.0.1:10259/healthz'), () => [
      `--kubeconfig=${this.files.kubeconfig('kube-scheduler')}`,
      '--leader-elect=false',
    ]);
  }

  /** Makes certificates, tokens and kubeconfigs. */
  async prepare(): Promise<void> {
    const { lab, families, nodes } = this.#topology;
    mkdirSync(join(this.folder, 'etcd'), { recursive: true, mode: 0o700 });
    await makeCredentials({
      files: this.files,
      address: this.address,
      nodes: nodes.map(({ name }) => name),
      cluster: `weft-${lab}`,
      services: families.map((family) => serviceNetwork[family]),
    });
  }

  /** Resolves once each part says that it is healthy. */
  async start(): Promise<void> {
    // etcd's fsyncs would wait for the machine's disk.
    await mustRun(['mount', '-t', 'tmpfs', '-o', 'mode=700', 'weft-lab', join(this.folder, 'etcd')]);
    await this.etcd.start();
    await this.apiserver.start();
    await Promise.all([this.controllerManager.start(), this.scheduler.start()]);
  }

  /**
   * Gives this host a route to each node's pods, as a node has it: the API server reaches pods for its proxy and for
   * webhooks. Waits until the nodes have their subnets.
   */
  async routeToPods(nodes: readonly LabNode[]): Promise<void> {
    const names = nodes.map(({ name }) => `node/${name}`);
    const assigned = ['--for=jsonpath={.spec.podCIDR}', `--timeout=${assignedWithin}`];
    await this.mustKubectl(['wait', '--for=create', `--timeout=${assignedWithin}`, ...names]);
    await this.mustKubectl(['wait', ...assigned, ...names]);
    for (const node of nodes) {
      const read = ['get', 'node', node.name, '--output=jsonpath={.spec.podCIDRs[*]}'];
      const subnets = (await this.mustKubectl(read)).trim().split(/\s+/);
      for (const subnet of subnets) {
        const via = node.addresses.find((address) => familyOf(address) === familyOf(subnet));
        if (via) await this.mustExec(['ip', 'route', 'replace', subnet, 'via', via]);
      }
    }
  }

  /** kubectl as the cluster's administrator; its failure is a status. */
  kubectl(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run(this.#kubectl(args), this.#options(options));
  }

  /** The same where failure is not expected: throws `LabError` with what it wrote. Returns its output. */
  mustKubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRun(this.#kubectl(args), this.#options(options));
  }

  /** kubectl on our own terminal; resolves to its exit status. */
  attachKubectl(args: readonly string[]): Promise<number> {
    return runAttached(this.#kubectl(args), this.#options({}).env);
  }

  /** Runs a program on the control plane's host. Throws `LabError` if it fails. Returns its output. */
  mustExec(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRun(this.#inNamespace(argv), this.#options(options));
  }

  #kubectl(args: readonly string[]): string[] {
    const kubectl = programPath(this.#programs, 'kubectl');
    return this.#inNamespace([kubectl, `--kubeconfig=${this.files.kubeconfig('admin')}`, ...args]);
  }

  #options(options: RunOptions): RunOptions {
    // Its cache of what the server offers is the cluster's, not the user's.
    const env = { ...process.env, ...options.env, HOME: this.folder, [processMark]: this.#topology.lab };
    return { ...options, env };
  }

  #component(program: KubernetesProgram, health: URL, flags: () => readonly string[]): Daemon {
    const ask = (): Promise<boolean> => this.#answersOk(health.origin, health.pathname);
    return this.#daemon(program, { ask }, () => [programPath(this.#programs, program), ...flags()]);
  }

  /** Asked inside the control plane's network: its parts listen on `lo`, with certificates that they made themselves. */
  async #answersOk(server: string, path: string): Promise<boolean> {
    const kubeconfig = this.files.kubeconfig('probe');
    const kubectl = [
      programPath(this.#programs, 'kubectl'),
      `--kubeconfig=${kubeconfig}`,
      `--server=${server}`,
    ];
    const get = [`--request-timeout=${askWithin}`, 'get', '--raw', path];
    return (await run(this.#inNamespace([...kubectl, ...get]), this.#options({}))).status === 0;
  }

  #daemon(label: string, ready: Readiness, command: () => readonly string[]): Daemon {
    return new Daemon({
      lab: this.#topology.lab,
      label,
      logFile: join(this.folder, `${label}.log`),
      pidFile: join(this.folder, `${label}.json`),
      ready,
      readyWithinMs: 60_000,
      command: () => this.#inNamespace(command()),
    });
  }

  #inNamespace(argv: readonly string[]): string[] {
    return ['nsenter', `--net=${netnsPath(this.#topology.lab, controlPlane)}`, '--', ...argv];
  }
}

function apiserverFlags(from: { topology: Topology; address: string; files: FileNames }): string[] {
  const { topology, address, files } = from;
  return [
    '--etcd-servers=http://127.0.0.1:2379',
    `--advertise-address=${address}`,
    `--service-cluster-ip-range=${topology.families.map((family) => serviceNetwork[family]).join(',')}`,
    `--tls-cert-file=${files.server.certificate}`,
    `--tls-private-key-file=${files.server.key}`,
    `--client-ca-file=${files.ca.certificate}`,
    `--token-auth-file=${files.tokens}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${files.serviceAccountKey}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--kubelet-client-certificate=${files.client.certificate}`,
    `--kubelet-client-key=${files.client.key}`,
    // A node's name is nothing that DNS knows of.
    '--kubelet-preferred-address-types=InternalIP',
    // A test of an API server that is away starts it again: what it watched is not waited for.
    '--shutdown-delay-duration=0s',
    '--profiling=false',
  ];
}

function controllerManagerFlags({ topology, files }: { topology: Topology; files: FileNames }): string[] {
  const { families } = topology;
  return [
    `--kubeconfig=${files.kubeconfig('kube-controller-manager')}`,
    '--allocate-node-cidrs=true',
    `--cluster-cidr=${families.map((family) => clusterNetwork[family]).join(',')}`,
    `--service-cluster-ip-range=${families.map((family) => serviceNetwork[family]).join(',')}`,
    ...families.map((family) => nodeMaskFlag[family]),
    `--root-ca-file=${files.ca.certificate}`,
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    // A node that goes is noticed, and its pods are told so, within seconds instead of minutes.
    '--node-monitor-period=2s',
    '--node-monitor-grace-period=20s',
  ];
}

function fileNames(folder: string): FileNames {
  const pair = (name: string) => ({
    certificate: join(folder, `${name}.pem`),
    key: join(folder, `${name}.key`),
  });
  return {
    folder,
    ca: pair('ca'),
    server: pair('kube-apiserver'),
    client: pair('admin'),
    serviceAccountKey: join(folder, 'service-account.key'),
    tokens: join(folder, 'tokens.csv'),
    kubeconfig: (user) => join(folder, `${user}.conf`),
  };
}
