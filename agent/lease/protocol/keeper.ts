/**
 * One node's side of the lease protocol: seek a subnet, hold it, notice its loss, seek the same one again.
 * Time, chance and the store are passed in; the disk is the caller's (`onSave`).
 *
 * One loop acts (`#run`); the follower only updates the view and rings the bell. So no two of our own
 * transactions are ever under way at once, apart from one whose answer was lost: and that one compares
 * versions which the next attempt either sees changed or changes itself.
 */
import type { Clock } from '../../../clock/clock.ts';
import type { Log } from '../../../log/log.ts';
import { Backoff, type Random } from '../../../retry/backoff.ts';
import { Bell } from '../../../retry/bell.ts';
import { LeaseError, StoreError } from '../errors.ts';
import { type ClusterBackend, type ClusterConfig, rangeFault } from '../flannel/cluster-config.ts';
import type { LeaseHolder, LeaseStatus } from '../holder.ts';
import type { Lease, LeaseAttributes, LeaseNetwork, Peers } from '../lease.ts';
import { Listeners } from '../listeners.ts';
import type { LeaseStore, WatchItem } from '../store/store.ts';
import type { LeaseTiming } from '../timing.ts';
import { PeerTable } from '../view/peer-table.ts';
import { ClusterView } from '../view/view.ts';
import { Agreement } from './agreement.ts';
import { recordKeys } from './claim.ts';
import type { Claimant } from './decide.ts';
import { type Follower, follow } from './follow.ts';
import { giveBackOwn } from './give-back.ts';
import { type HoldOptions, hold } from './hold.ts';
import { Seeker } from './seek.ts';
import { type SavedLease, type SaveTime, Standing } from './standing.ts';

export interface KeeperOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timing: LeaseTiming;
  readonly us: Claimant;
  /** What this node is configured with; it must not contradict what the store says. */
  readonly local: { readonly networks: readonly LeaseNetwork[]; readonly backend: ClusterBackend };
  /** From before this start: what to come up with while the store is away. */
  readonly saved: SavedLease | undefined;
  /**
   * Called when something that is worth keeping has changed. `now`: it is on disk when the call returns, for what is
   * asked of the store next must not happen while the disk says otherwise.
   */
  readonly onSave: (when: SaveTime) => void;
  /** Whether the disk says since this start that the node was told to leave (`weftctl node leave`). */
  readonly renounced: () => boolean;
  readonly signal: AbortSignal;
}

export class LeaseKeeper implements LeaseHolder {
  /** Resolves once there is a lease, from the store or from before; rejects with why there can be none. */
  readonly acquired: Promise<void>;
  /** Resolves when the signal has fired and nothing runs any more. */
  readonly done: Promise<void>;

  readonly #options: KeeperOptions;
  readonly #view = new ClusterView();
  readonly #table: PeerTable;
  readonly #bell: Bell;
  readonly #standing: Standing;
  readonly #agreement: Agreement;
  readonly #follower: Follower;
  readonly #seeker: Seeker;
  readonly #peerListeners = new Listeners<Peers>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { store, clock, random, log, timing, us, saved, onSave, renounced, signal } = options;
    this.#bell = new Bell(clock);
    this.#table = new PeerTable({ graceSeconds: timing.graceSeconds, clock, saved: saved?.peers ?? [] });
    this.#standing = new Standing({ us, log, onSave, renounced, onLease: () => this.#updatePeers() });
    this.#agreement = new Agreement(options);
    this.acquired = this.#standing.acquired;
    this.#follower = follow({
      store,
      clock,
      random,
      relistSeconds: timing.relistSeconds,
      signal,
      onItem: (item) => this.#take(item),
      onTrouble: (error) => this.#heed(error),
    });
    const relist = this.#follower.relist;
    const [view, standing, agreement] = [this.#view, this.#standing, this.#agreement];
    this.#seeker = new Seeker({ store, clock, log, timing, view, standing, agreement, relist, signal });
    this.done = Promise.all([this.#follower.done, this.#run()]).then(() => undefined);
    this.done.catch((error: unknown) => this.#standing.fail(error));
  }

  get lease(): Lease {
    const { lease } = this.#standing;
    if (!lease) throw new LeaseError('not-held', 'there is no lease yet');
    return lease;
  }

  get cluster(): ClusterConfig {
    const { cluster } = this.#agreement;
    if (!cluster) throw new LeaseError('not-held', "the cluster's configuration is not known yet");
    return cluster;
  }

  get peers(): Peers {
    return this.#table.peers;
  }

  get status(): LeaseStatus {
    return this.#standing.status;
  }

  watchPeers(onPeers: (peers: Peers) => void, signal: AbortSignal): void {
    this.#peerListeners.add(onPeers, signal);
    if (!signal.aborted) onPeers(this.peers);
  }

  watchStatus(onStatus: (status: LeaseStatus) => void, signal: AbortSignal): void {
    this.#standing.listeners.add(onStatus, signal);
  }

  async updateAttributes(attributes: LeaseAttributes, signal: AbortSignal): Promise<void> {
    this.#standing.describe(attributes);
    const { text } = this.#standing;
    this.#bell.ring();
    const over = new AbortController();
    const abort = (): void => over.abort(signal.reason);
    signal.addEventListener('abort', abort);
    try {
      signal.throwIfAborted();
      const waiting = new Bell(this.#options.clock);
      this.watchStatus(() => waiting.ring(), over.signal);
      // Whoever gave other attributes meanwhile waits for those.
      while (this.#standing.text === text && !this.#standing.told) {
        await waiting.wait(60_000, over.signal);
        over.signal.throwIfAborted();
      }
    } finally {
      signal.removeEventListener('abort', abort);
      over.abort();
    }
  }

  async release(signal: AbortSignal): Promise<void> {
    const { store, clock, random, log, timing } = this.#options;
    const standing = this.#standing;
    await giveBackOwn({ store, clock, random, log, timing, standing, signal });
    this.#bell.ring();
  }

  // ---- what the follower tells

  #take(item: WatchItem): void {
    const first = !this.#view.complete;
    const changed = this.#view.apply(item);
    if (changed.size === 0 && !first) return;
    const { lease, held, us } = this.#standing;
    const ours = new Set(lease ? recordKeys(lease.key, us.id) : []);
    const ofPeers = [...changed].filter((key) => !ours.has(key));
    if (first || ofPeers.length > 0) this.#updatePeers();
    // Who keeps our lease has nothing to do for a peer's, unless that one has to be dropped in time.
    const waits = held !== undefined && this.#table.nextEndMs === undefined;
    if (!waits || changed.size > ofPeers.length) this.#bell.ring();
  }

  #heed(error: StoreError | undefined): void {
    const { log, store } = this.#options;
    const before = this.#standing.trouble;
    if (!this.#standing.heed(error)) return;
    if (error)
      log.warn('store.unreachable', { store: store.description, kind: error.kind, reason: error.message });
    else if (before) log.info('store.reachable', { store: store.description });
    if (error && !this.#standing.settled) this.#comeUpWithout(error);
    this.#standing.announce();
  }

  /** Before the first answer of the store: go on with what was saved, or give up where waiting cannot help. */
  #comeUpWithout(error: StoreError): void {
    const { saved } = this.#options;
    if (saved) {
      this.#agreement.remember(saved.cluster);
      this.#standing.comeUpWith(saved, error.message);
    } else if (error.kind === 'refused') this.#standing.fail(error);
  }

  /** A range that was changed is told, not followed: pods of this node use the subnet. */
  #ownProblem({ subnets }: Lease): string | undefined {
    const { cluster } = this.#agreement;
    const fault = cluster && rangeFault(subnets, cluster);
    if (fault === undefined) return undefined;
    const remedy = 'to take another, drain the node, run weftctl node leave and restart weftd';
    return `this node keeps its subnet although ${fault}; ${remedy}`;
  }

  #updatePeers(): void {
    const { lease, us } = this.#standing;
    // Until our own lease is known, a list would show it as a peer's.
    if (!lease) return;
    const before = this.#table.peers.problems;
    const changed = this.#table.update(this.#view, {
      networks: this.#agreement.cluster?.networks,
      own: lease.key,
      ownProblem: this.#ownProblem(lease),
      ownSubnets: lease.subnets,
      oneLength: true,
      ownIps: us.attributes.publicIps,
      ownMacs: [us.attributes.backend.vtepMac, us.attributes.backend.vtepMac6].filter(
        (mac) => mac !== undefined,
      ),
    });
    if (!changed) return;
    const { peers } = this.#table;
    const known = new Set(before.map(({ key, reason }) => key + reason));
    for (const problem of peers.problems) {
      if (!known.has(problem.key + problem.reason)) this.#options.log.warn('peer.recordInvalid', problem);
    }
    this.#peerListeners.tell(peers);
    this.#standing.save('soon');
  }

  /** Drops the peers whose grace is over; answers when the next one's is. */
  #tendPeers(): number | undefined {
    const dropMs = this.#table.nextEndMs;
    if (dropMs !== undefined && dropMs <= this.#options.clock.now()) this.#updatePeers();
    return this.#table.nextEndMs;
  }

  // ---- the acting loop

  async #run(): Promise<void> {
    const { store, clock, random, timing, signal } = this.#options;
    const [view, standing, bell] = [this.#view, this.#standing, this.#bell];
    const tendPeers = () => this.#tendPeers();
    const holding: HoldOptions = { store, clock, random, timing, view, standing, bell, tendPeers, signal };
    const backoff = new Backoff({ firstMs: 200, longestMs: 5000, random });
    for (let attempt = 0; !signal.aborted && !standing.failed; ) {
      try {
        if (standing.phase === 'left') await bell.wait(3_600_000, signal);
        else if (standing.held) {
          await hold(standing.held, holding);
          if (standing.phase === 'lost') this.#follower.relist();
          attempt = 0;
        } else if (!view.complete) await bell.wait(60_000, signal);
        else if (await this.#seeker.seek(attempt)) backoff.reset();
        else {
          attempt++;
          await bell.wait(backoff.next(), signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof StoreError)) {
          if (!(error instanceof LeaseError)) throw error;
          standing.refuse(error);
        } else if (error.kind === 'refused' && !standing.settled) standing.fail(error);
        else standing.unanswered(error);
        await bell.wait(backoff.next(), signal);
      }
    }
  }
}
