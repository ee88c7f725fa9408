/**
 * A lease from the Node object (`LeaseHolder`): the controller manager gives the Node its subnets, so nothing is
 * claimed, renewed or contended. This node follows all Nodes, says on its own what peers need to know, and has its
 * subnet until it sees its Node deleted or created again with another one.
 */
import { systemClock } from '../../../clock/clock.ts';
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
import type { LeaseHolder, LeaseStatus } from '../holder.ts';
import type { Lease, LeaseAttributes, Peers } from '../lease.ts';
import { Listeners } from '../listeners.ts';
import type { SavedLease } from '../protocol/standing.ts';
import { PeerTable } from '../view/peer-table.ts';
import { withOverwrites } from './annotations.ts';
import { decideLease } from './decide.ts';
import { digestNode, type SeenNode, sameNode } from './node.ts';
import { NodeEvents } from './node-events.ts';
import { NodeView } from './node-view.ts';
import { type NodePatch, NodeWriter } from './node-writer.ts';
import { type OwnNode, pendingAnnotations, pendingPatch, type Told } from './own-node.ts';
import { PodCidrRequests } from './pod-cidrs.ts';
import { NodeStanding } from './standing.ts';

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

const contention =
  'another program keeps changing its annotations; ' +
  'stop flannel on this node, or the agent of another machine with this name';

export class KubernetesHolder implements LeaseHolder {
  /** Resolves once there is a lease. */
  readonly acquired: Promise<void>;
  readonly done: Promise<void>;
  readonly cluster: ClusterConfig;
  readonly #options: KubernetesHolderOptions;
  readonly #reflector: Reflector<SeenNode>;
  readonly #writer: NodeWriter;
  readonly #events: NodeEvents;
  readonly #standing: NodeStanding;
  readonly #podCidrs: PodCidrRequests;
  readonly #table: PeerTable;
  readonly #peerListeners = new Listeners<Peers>();
  readonly #statusListeners = new Listeners<LeaseStatus>();
  #attributes: LeaseAttributes;
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
    this.#standing = new NodeStanding({
      nodeName,
      saved,
      log,
      publish: (event) => this.publish(event),
      onWaiting: (reason) => options.onWaiting('lease', reason),
      onChange: () => this.#changed(),
    });
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
      onContention: (contended) => this.#report('NodeContended', contended ? contention : undefined),
      log,
      signal,
    });
    this.done = Promise.all([this.#reflector.done, this.#writer.done]).then(() => undefined);
  }

  get lease(): Lease {
    const { lease } = this.#standing;
    if (!lease) throw new LeaseError('not-held', 'there is no lease yet');
    return lease;
  }

  get nodeUid(): string | undefined {
    return this.#standing.uid;
  }

  /** Its problems are also those of this node's own Node: whoever shows the one shows the other. */
  get peers(): Peers {
    const { peers } = this.#table;
    if (this.#problems.size === 0) return peers;
    const key = `Node ${this.#options.nodeName}`;
    const own = [...this.#problems.values()].map((reason) => ({ key, reason }));
    return { ...peers, problems: [...own, ...peers.problems] };
  }

  get status(): LeaseStatus {
    return this.#standing.status(this.#trouble?.message, this.#confirmedMs);
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
    const { log, client, onWaiting } = this.#options;
    const before = this.#trouble;
    this.#trouble = error;
    if (error)
      log.warn('store.unreachable', { store: client.server, kind: error.kind, reason: error.message });
    else if (before) log.info('store.reachable', { store: client.server });
    if (!error) this.#confirmedMs = systemClock.now();
    this.#report('NodesNotFollowed', needsCorrection(error) ? error?.message : undefined);
    const standing = this.#standing;
    if (error && !standing.lease && !standing.resume(this.#attributes, error.message)) {
      onWaiting('store', error.message);
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
    const { nodeName, cluster, hasPodsIn } = this.#options;
    const node = this.#ownNode;
    if (node) this.#events.uid = node.uid;
    const { lease, current } = this.#standing;
    const bound = lease !== undefined || (current !== undefined && hasPodsIn(current.subnets));
    const { complete } = this.#reflector;
    const known = { nodeName, networks: cluster.networks, complete, node, current, bound };
    this.#standing.become(decideLease(known), this.#ownAttributes());
    this.#writer.ring();
    this.#announce();
  }

  /** What we hold, or say of ourselves, is new: on disk before anything is made of it. */
  #changed(): void {
    this.#options.onSave('now');
    this.#updatePeers();
    this.#settle();
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
    if (this.#standing.lease) this.#peerListeners.tell(this.peers);
  }

  #announce(): void {
    this.#statusListeners.tell(this.status);
  }

  #updatePeers(): void {
    const { nodeName, cluster, log, onSave } = this.#options;
    const { lease } = this.#standing;
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
    const standing = this.#standing;
    const ours = standing.held && node?.uid === standing.uid;
    const attributes = ours ? this.#ownAttributes() : undefined;
    const message = { attributes, condition: standing.condition(this.#programmed) };
    return pendingPatch({ node, message, told: this.#told, annotationPrefix });
  }

  #isTold(): boolean {
    const found = this.#ownNode?.value.annotations ?? {};
    const pending = pendingAnnotations(this.#ownAttributes(), found, this.#options.annotationPrefix);
    return this.#standing.held && Object.keys(pending).length === 0;
  }
}
