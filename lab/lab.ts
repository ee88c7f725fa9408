/**
 * A cluster on one machine. Each node is a network, a mount and a host name namespace with the real agent in
 * it; pods are made by the real plugin, invoked as a container runtime would. All state is in the kernel and under
 * `/run/weft-lab/<name>`, so that what one process put up another can use and take down.
 */
import type { Family } from '../inet/ip.ts';
import { type Configuration, configureNode, labConfiguration } from './configuration.ts';
import { LabError } from './errors.ts';
import { EtcdMember, etcdConfiguration, prepareEtcd } from './etcd.ts';
import { checkLabName, defaultLab, fabric, netnsPath } from './names.ts';
import { LabNode } from './node.ts';
import { type PingResult, pingAll } from './ping.ts';
import { LabPod } from './pod.ts';
import { findProduct, type Product } from './product.ts';
import { settle } from './settle.ts';
import { claimLab, type LabRecord, type LabStore, loadLab, loadPods, saveLab } from './state.ts';
import { teardownLab } from './teardown.ts';
import { checkBackend, planTopology } from './topology.ts';
import { type Hop, tracePing } from './trace.ts';
import { fabricLinks, raiseUnderlay } from './up.ts';

export interface LabOptions {
  /** Default `lab`. Labs of different names do not see each other. */
  readonly name?: string;
  /** Default 3. */
  readonly nodes?: number;
  /** Layer-2 networks that the nodes are spread over, joined by a router; default 1. */
  readonly subnets?: number;
  /** Default vxlan. */
  readonly backend?: string;
  /** Default IPv4 alone. */
  readonly families?: readonly Family[];
  /** Where leases are kept; default file. */
  readonly store?: LabStore;
  /** Members of etcd, where that is the store; default 1. */
  readonly etcdMembers?: number;
  /** Nodes whose agents are not started: `true` for all of them. */
  readonly withoutAgents?: boolean | readonly string[];
  /** Keys of weft.yaml over the lab's own, the same on every node. */
  readonly configuration?: Configuration;
  /** Called at the start of each step. */
  readonly progress?: (step: string) => void;
}

export class Lab {
  readonly name: string;
  readonly record: LabRecord;
  readonly nodes: readonly LabNode[];
  /** Empty where the store is another. */
  readonly etcd: readonly EtcdMember[];
  readonly #product: Product;

  private constructor(name: string, record: LabRecord, product: Product) {
    this.name = name;
    this.record = record;
    this.#product = product;
    this.nodes = record.topology.nodes.map(
      (member) => new LabNode({ lab: name, member, weftd: product.weftd }),
    );
    this.etcd = record.topology.etcd.map((member) => new EtcdMember(record.topology, member));
  }

  /**
   * Brings a lab up. Resolves when every agent is ready and reaches all others. Throws `LabError` if the name is in use
   * or if a step fails; then everything that was made is removed again.
   */
  static async up(options: LabOptions = {}): Promise<Lab> {
    const name = checkLabName(options.name ?? defaultLab);
    const progress = options.progress ?? (() => {});
    const product = findProduct();
    const topology = planTopology({
      lab: name,
      nodes: options.nodes ?? 3,
      subnets: options.subnets ?? 1,
      families: options.families ?? ['ipv4'],
      etcdMembers: options.store === 'etcd' ? (options.etcdMembers ?? 1) : 0,
      controlPlane: options.store === 'kubernetes',
    });
    const record: LabRecord = {
      topology,
      backend: options.backend ?? 'vxlan',
      store: options.store ?? 'file',
    };
    checkBackend(record.backend, options.subnets ?? 1);
    claimLab(name);
    try {
      saveLab(name, record);
      const lab = new Lab(name, record, product);
      progress(`${topology.nodes.length} nodes`);
      await raiseUnderlay({ topology, root: product.root });
      if (lab.etcd.length > 0) {
        progress(`${lab.etcd.length} etcd`);
        await prepareEtcd(topology);
        await allSettled(lab.etcd.map((member) => member.daemon.start()));
      }
      if (record.store === 'kubernetes') return lab;
      for (const node of lab.nodes) lab.#configure(node, options.configuration ?? {});
      const quiet = options.withoutAgents ?? false;
      const started = lab.nodes.filter((node) =>
        Array.isArray(quiet) ? !quiet.includes(node.name) : !quiet,
      );
      if (started.length > 0) progress(`${started.length} agents`);
      await allSettled(started.map((node) => node.agent.start()));
      await settle(started);
      return lab;
    } catch (error) {
      await teardownLab(name);
      throw error;
    }
  }

  /** A lab that is up. Throws `LabError` if there is none of that name. */
  static open(name: string = defaultLab): Lab {
    return new Lab(checkLabName(name), loadLab(name), findProduct());
  }

  /** Removes a lab of that name, whole or half; nothing happens if there is none. */
  static down(name: string = defaultLab): Promise<void> {
    return teardownLab(checkLabName(name));
  }

  down(): Promise<void> {
    return teardownLab(this.name);
  }

  node(name: string): LabNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (!node) throw new LabError(`no node ${name} in the lab ${this.name}: ${this.#names(this.nodes)}`);
    return node;
  }

  /** The pods there are, by node and name. */
  pods(): LabPod[] {
    return this.nodes.flatMap((node) =>
      loadPods(this.name, node.name).map((record) => new LabPod({ node, record })),
    );
  }

  /** Makes a pod. Throws `LabError` if one of that name exists, and with the plugin's message if ADD fails. */
  async pod(node: string, name: string): Promise<LabPod> {
    const existing = this.pods().find((pod) => pod.name === name);
    if (existing) throw new LabError(`the pod ${name} exists, on ${existing.node.name}`);
    return LabPod.add({ node: this.node(node), name });
  }

  podNamed(name: string): LabPod {
    const pods = this.pods();
    const pod = pods.find((candidate) => candidate.name === name);
    if (!pod) throw new LabError(`no pod ${name} in the lab ${this.name}: ${this.#names(pods)}`);
    return pod;
  }

  /** Every pod to every pod, itself included. */
  ping(): Promise<PingResult[]> {
    const pods = this.pods();
    return pingAll({ sources: pods, targets: pods });
  }

  /** The devices that a ping from one pod to another's address passed, in order. Throws `LabError` if it is lost. */
  trace(from: LabPod, to: LabPod, address = to.addresses[0] ?? ''): Promise<Hop[]> {
    const nodes = from.node === to.node ? [from.node] : [from.node, to.node];
    const fabricStation = {
      name: fabric,
      netns: netnsPath(this.name, fabric),
      links: () => fabricLinks(this.name),
    };
    const [first, ...rest] = nodes.map((node) => node.station);
    const between = rest.length > 0 ? [fabricStation] : [];
    return tracePing({
      stations: [from.station, ...(first ? [first] : []), ...between, ...rest, to.station],
      ping: (pattern) => from.exec(['ping', '-n', '-c', '1', '-W', '2', ...pattern, address]),
    });
  }

  #configure(node: LabNode, over: Configuration): void {
    const { topology, backend } = this.record;
    const store = this.etcd.length > 0 ? etcdConfiguration(node, topology) : {};
    const configuration = { ...labConfiguration({ topology, backend }), ...store, ...over };
    configureNode({ node, product: this.#product, configuration });
  }

  #names(of: readonly { name: string }[]): string {
    return of.length === 0 ? 'it has none' : `it has ${of.map((one) => one.name).join(', ')}`;
  }
}

/** Waits for all, also when one fails, so that nothing runs during a teardown; throws the first failure. */
async function allSettled(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
