/**
 * A lease from the Node object (`LeaseHolder`): the controller manager gives the Node its subnets, so nothing is claimed,
 * renewed or contended. This node follows all Nodes, says on its own what peers need to know, and has its subnet until
 * it sees its Node deleted or created again with another one.
 */
import { systemClock } from '../../../clock/clock.ts';
import { formatCidr } from '../../../inet/cidr.ts';
import type { ApiClient } from '../../../kubernetes/client.ts';
import type { ApiError } from '../../../kubernetes/errors.ts';
import {
  type Change,
  needsCorrection,
  Reflector,
  type ReflectorTiming,
} from '../../../kubernetes/reflector.ts';
import { nodes } from '../../../kubernetes/resource.ts';
import type { Log } from '../../../log/log.ts';
import { LeaseError } from '../errors.ts';
import type { ClusterConfig } from '../flannel/cluster-config.ts';
import { subnetKey } from '../flannel/key.ts';
import type { LeaseHolder, LeasePhase, LeaseStatus } from '../holder.ts';
import type { Lease, LeaseAttributes, Peers } from '../lease.ts';
import { Listeners } from '../listeners.ts';
import type { SavedLease } from '../protocol/standing.ts';
import { PeerTable } from '../view/peer-table.ts';
import { sameAttributes } from '../view/peers.ts';
import { withOverwrites } from './annotations.ts';
import { type Decision, decideLease } from './decide.ts';
import { digestNode, type SeenNode, sameNode } from './node.ts';
import { NodeEvents } from './node-events.ts';
import { NodeView } from './node-view.ts';
import { type Condition, type NodePatch, NodeWriter } from './node-writer.ts';
import { type OwnNode, pendingAnnotations, pendingPatch, type Told } from './own-node.ts';
import { PodCidrRequests } from './pod-cidrs.ts';

export interface KubernetesHolderOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly annotationPrefix: string;
  /** The cluster's configuration, which is this node's. */
  readonly cluster: ClusterConfig;
  readonly attributes: LeaseAttributes;
  /** From before this start. */
  readonly saved: SavedLease | undefined;
  /** Whether pods have addresses of these subnets. */
  readonly hasPodsIn: (subnets: Lease['subnets']) => boolean;
  readonly onSave: (when: 'now' | 'soon') => void;
  /** There is no lease yet, for this reason. */
  readonly onWaiting: (code: 'store' | 'lease', reason: string) => void;
  readonly log: Log;
  readonly timing?: Partial<ReflectorTiming>;
  readonly signal: AbortSignal;
}

export class KubernetesHolder implements LeaseHolder {
  /** Resolves once there is a lease. */
  readonly acquired: Promise<void>;
  readonly done: Promise<void>;
  readonly cluster: ClusterConfig;
  readonly #options: KubernetesHolderOptions;
  readonly #reflector: Reflector<SeenNode>;
  readonly #writer: NodeWriter;
  readonly #events: NodeEvents;
  readonly #podCidrs: PodCidrRequests;
  readonly #table: PeerTable;
  readonly #peerListeners = new Listeners<Peers>();
  readonly #statusListeners = new Listeners<LeaseStatus>();
  #attributes: LeaseAttributes;
  #lease: Lease | undefined;
  /** Of the Node that gave us the lease. */
  #uid: string | undefined;
  #phase: LeasePhase = 'lost';
  #reason: string | undefined;
  #trouble: ApiError | undefined;
  #confirmedMs: number | undefined;
  /** A pass over the kernel is complete: the node's network is available. */
  #programmed = false;
  /** The condition that we wrote last, and on which Node. */
  #told: Told | undefined;
  /** By the reason of their Events. */
  readonly #problems = new Map<string, string>();
  #settle: () => void = () => undefined;

  constructor(options: KubernetesHolderOptions) {
    this.#options = options;
    const { client, nodeName, annotationPrefix, saved, log, signal } = options;
    this.cluster = options.cluster;
    this.#attributes = options.attributes;
    this.acquired = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#table = new PeerTable({ graceSeconds: 0, clock: systemClock, saved: saved?.peers ?? [] });
    this.#events = new NodeEvents({ client, nodeName, log, signal });
    this.#reflector = new Reflector<SeenNode>({
      client,
      place: nodes,
      list: 'object',
      watch: 'metadata',
      digest: (object, known) => digestNode(object, known, annotationPrefix),
      same: sameNode,
      onChanges: (changes) => this.#take(changes),
      onTrouble: (error) => this.#heed(error),
      ...(options.timing ? { timing: options.timing } : {}),
      signal,
    });
    this.#podCidrs = new PodCidrRequests({
      client,
      onTrouble: (error) => this.#report('NodeNotRead', needsCorrection(error) ? error?.message : undefined),
      onNode: (name, uid, node) =>
        this.#reflector.learn(name, uid, (known) => digestNode(node, known, annotationPrefix)),
      signal,
    });
    this.#writer = new NodeWriter({
      client,
      nodeName,
      pending: () => this.#pending(),
      onNode: (node, { uid, condition }) => {
        this.#report('NodeNotUpdated', undefined);
        if (condition) this.#told = { uid, message: condition.message };
        this.#reflector.learn(nodeName, uid, (known) => digestNode(node, known, annotationPrefix));
      },
      onTrouble: (error) => this.#refused(error),
      log,
      signal,
    });
    this.done = Promise.all([this.#reflector.done, this.#writer.done]).then(() => undefined);
  }

  get lease(): Lease {
    if (!this.#lease) throw new LeaseError('not-held', 'there is no lease yet');
    return this.#lease;
  }

  get nodeUid(): string | undefined {
    return this.#uid;
  }

  /** Its problems are also those of this node's own Node: whoever shows the one shows the other. */
  get peers(): Peers {
    const { peers } = this.#table;
    if (this.#problems.size === 0) return peers;
    const key = `Node ${this.#options.nodeName}`;
    const own = [...this.#problems.values()].map((reason) => ({ key, reason }));
    return { ...peers, problems: [...own, ...peers.problems] };
  }

  /** There is no deadline: the controller manager gives a Node's subnets to nobody else while the Node exists. */
  get status(): LeaseStatus {
    const away = this.#phase === 'held' && this.#trouble !== undefined;
    return {
      phase: away ? 'away' : this.#phase,
      deadlineMs: this.#phase === 'lost' ? 0 : Number.POSITIVE_INFINITY,
      confirmedMs: this.#confirmedMs,
      reason: away ? this.#trouble?.message : this.#reason,
    };
  }

  watchPeers(onPeers: (peers: Peers) => void, signal: AbortSignal): void {
    this.#peerListeners.add(onPeers, signal);
    if (!signal.aborted) onPeers(this.peers);
  }

  watchStatus(onStatus: (status: LeaseStatus) => void, signal: AbortSignal): void {
    this.#statusListeners.add(onStatus, signal);
  }

  async updateAttributes(attributes: LeaseAttributes, signal: AbortSignal): Promise<void> {
    this.#attributes = attributes;
    this.#evaluate();
    signal.throwIfAborted();
    // Newer attributes end the wait for older ones.
    const settled = (): boolean => this.#attributes !== attributes || this.#isTold();
    if (settled()) return;
    const over = new AbortController();
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: over.signal });
        this.watchStatus(() => settled() && resolve(), over.signal);
      });
    } finally {
      over.abort();
    }
  }

  async release(): Promise<void> {
    const { nodeName } = this.#options;
    throw new LeaseError(
      'not-held',
      `the subnet belongs to Node ${nodeName} and is released with it; run "kubectl delete node ${nodeName}"`,
    );
  }

  /** The first pass over the kernel is complete. */
  networkReady(): void {
    this.#programmed = true;
    this.#writer.ring();
  }

  /** Shows it to whoever describes the Node. */
  publish(event: { readonly reason: string; readonly message: string }): void {
    this.#events.publish(event);
  }

  // ---- what the reflector says

  #take(changes: readonly Change<SeenNode>[]): void {
    for (const { key, after } of changes)
      if (after && after.value.podCidrs === undefined) this.#podCidrs.want(key);
    this.#confirmedMs = systemClock.now();
    this.#evaluate();
    this.#updatePeers();
  }

  #heed(error: ApiError | undefined): void {
    const { log, client, saved, onWaiting } = this.#options;
    const before = this.#trouble;
    this.#trouble = error;
    if (error)
      log.warn('store.unreachable', { store: client.server, kind: error.kind, reason: error.message });
    else if (before) log.info('store.reachable', { store: client.server });
    if (!error) this.#confirmedMs = systemClock.now();
    this.#report('Followed', needsCorrection(error) ? error?.message : undefined);
    if (error && !this.#lease) {
      if (saved?.nodeUid === undefined) onWaiting('store', error.message);
      else this.#comeUpWith(saved, error.message);
    }
    this.#announce();
  }

  #refused(error: ApiError): void {
    // A Node that was created again, or deleted: the watch says so.
    if (error.kind === 'not-found' || error.message.includes('metadata.uid')) return;
    this.#options.log.warn('node.patchFailed', { reason: error.message });
    this.#report('NodeNotUpdated', needsCorrection(error) ? error.message : undefined);
  }

  // ---- what it means

  #evaluate(): void {
    const { nodeName, cluster, saved, hasPodsIn } = this.#options;
    const node = this.#ownNode;
    if (node) this.#events.uid = node.uid;
    const before = this.#lease ?? saved?.lease;
    const current = before && { subnets: before.subnets, uid: this.#lease ? this.#uid : saved?.nodeUid };
    const bound = this.#lease !== undefined || (before !== undefined && hasPodsIn(before.subnets));
    const { complete } = this.#reflector;
    this.#become(decideLease({ nodeName, networks: cluster.networks, complete, node, current, bound }));
    this.#writer.ring();
    this.#announce();
  }

  #become(decision: Decision): void {
    const { onWaiting, saved } = this.#options;
    switch (decision.kind) {
      case 'unknown':
        return;
      case 'waiting':
        if (this.#reason !== decision.reason) this.#warn('lease.waiting', 'NoSubnet', decision.reason);
        this.#reason = decision.reason;
        onWaiting('lease', decision.reason);
        return;
      case 'lost': {
        if (this.#phase === 'lost' && this.#reason === decision.reason) return;
        this.#lease ??= saved?.lease;
        this.#phase = 'lost';
        this.#reason = decision.reason;
        this.#warn('lease.lost', 'SubnetLost', decision.reason);
        this.#changed();
        return;
      }
      case 'held':
        this.#hold(decision);
    }
  }

  #hold({ subnets, uid }: { readonly subnets: Lease['subnets']; readonly uid: string }): void {
    const { nodeName, log } = this.#options;
    const attributes = this.#ownAttributes();
    const key = subnetKey(subnets);
    const before = this.#lease;
    const news = this.#phase !== 'held' || this.#uid !== uid;
    if (!news && before && sameAttributes(before, attributes)) return;
    this.#lease = { key, subnets: before?.key === key ? before.subnets : subnets, ...attributes, nodeName };
    this.#uid = uid;
    this.#phase = 'held';
    this.#reason = undefined;
    if (news) log.info('lease.acquired', { key, subnets: subnets.map(formatCidr), node: nodeName, uid });
    this.#changed();
  }

  #comeUpWith(saved: SavedLease, reason: string): void {
    const { log } = this.#options;
    this.#lease = { ...saved.lease, ...this.#attributes };
    this.#uid = saved.nodeUid;
    this.#phase = 'away';
    this.#reason = reason;
    log.warn('lease.resumed', { key: saved.lease.key, reason });
    this.#changed();
  }

  /** What we hold, or say of ourselves, is new: on disk before anything is made of it. */
  #changed(): void {
    this.#options.onSave('now');
    this.#updatePeers();
    this.#settle();
  }

  #warn(event: 'lease.waiting' | 'lease.lost', reason: string, message: string): void {
    this.#options.log.error(event, { node: this.#options.nodeName, reason: message });
    this.publish({ reason, message });
  }

  /** A problem of this node's that the lease stands in spite of; undefined: it is over. */
  #report(reason: string, message: string | undefined): void {
    if (this.#problems.get(reason) === message) return;
    if (message === undefined) this.#problems.delete(reason);
    else {
      this.#problems.set(reason, message);
      this.#options.log.warn('node.problem', { node: this.#options.nodeName, reason: message });
      this.publish({ reason, message });
    }
    if (this.#lease) this.#peerListeners.tell(this.peers);
  }

  #announce(): void {
    this.#statusListeners.tell(this.status);
  }

  #updatePeers(): void {
    const { nodeName, cluster, log, onSave } = this.#options;
    const lease = this.#lease;
    if (!lease) return;
    const { networks } = cluster;
    const { objects, complete } = this.#reflector;
    const view = new NodeView({ nodes: objects.values(), complete, own: nodeName, networks });
    const before = new Set(this.#table.peers.problems.map(({ key, reason }) => key + reason));
    const { vtepMac, vtepMac6 } = lease.backend;
    const rules = {
      networks,
      // The controller manager may give nodes subnets of different lengths.
      oneLength: false,
      own: undefined,
      ownSubnets: lease.subnets,
      ownIps: lease.publicIps,
      ownMacs: [vtepMac, vtepMac6].filter((mac) => mac !== undefined),
    };
    if (!this.#table.update(view, rules)) return;
    for (const problem of this.#table.peers.problems) {
      if (before.has(problem.key + problem.reason)) continue;
      log.warn('peer.recordInvalid', { ...problem });
      this.publish({ reason: 'PeerInvalid', message: `${problem.key}: ${problem.reason}` });
    }
    this.#peerListeners.tell(this.peers);
    onSave('soon');
  }

  // ---- what this node says

  get #ownNode(): OwnNode | undefined {
    return this.#reflector.objects.get(this.#options.nodeName);
  }

  #ownAttributes(): LeaseAttributes {
    const overwritten = withOverwrites(this.#attributes, this.#ownNode?.value.annotations ?? {});
    this.#report('InvalidAnnotation', typeof overwritten === 'string' ? overwritten : undefined);
    return typeof overwritten === 'string' ? this.#attributes : overwritten;
  }

  /** What differs between what our Node says and what it should say. */
  #pending(): NodePatch | undefined {
    const { annotationPrefix } = this.#options;
    const node = this.#ownNode;
    const ours = this.#phase === 'held' && node?.uid === this.#uid;
    const attributes = ours ? this.#ownAttributes() : undefined;
    const message = { attributes, condition: this.#wantedCondition() };
    return pendingPatch({ node, message, told: this.#told, annotationPrefix });
  }

  #wantedCondition(): Condition | undefined {
    if (this.#phase === 'held') {
      if (!this.#programmed) return undefined;
      return { status: 'False', reason: 'WeftIsUp', message: 'weft has programmed this node' };
    }
    if (this.#reason === undefined || this.#phase !== 'lost') return undefined;
    return { status: 'True', reason: this.#lease ? 'SubnetLost' : 'NoSubnet', message: this.#reason };
  }

  #isTold(): boolean {
    const found = this.#ownNode?.value.annotations ?? {};
    const pending = pendingAnnotations(this.#ownAttributes(), found, this.#options.annotationPrefix);
    return this.#phase === 'held' && Object.keys(pending).length === 0;
  }
}
