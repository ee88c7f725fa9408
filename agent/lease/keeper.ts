/**
 * One node's side of the lease protocol: seek a subnet, hold it, notice its loss, seek the same one again.
 * Time, chance and the store are passed in; the disk is the caller's (`onSave`).
 *
 * One loop acts (`#run`); the follower only updates the view and rings the bell. So no two of our own
 * transactions are ever under way at once, apart from one whose answer was lost: and that one compares
 * versions which the next attempt either sees changed or changes itself.
 */
import { Bell } from './bell.ts';
import { changeLease, giveBack, recordKeys, takeLease } from './claim.ts';
import { Backoff, type Clock, jittered, type Random } from './clock.ts';
import {
  type ClusterBackend,
  type ClusterConfig,
  configKey,
  contradictions,
  decodeClusterConfig,
  defaultRange,
  encodeClusterConfig,
} from './cluster-config.ts';
import { type Claimant, type Decision, decide } from './decide.ts';
import { LeaseError, StoreError } from './errors.ts';
import { type Follower, follow } from './follow.ts';
import type { LeaseHolder, LeasePhase, LeaseStatus } from './holder.ts';
import { parseSubnetKey, subnetsFolder } from './key.ts';
import type { Lease, LeaseAttributes, LeaseLog, LeaseNetwork, Peers } from './lease.ts';
import { Listeners } from './listeners.ts';
import { PeerTable } from './peer-table.ts';
import { isSilent } from './probe.ts';
import { absent, type LeaseStore, type WatchItem } from './store.ts';
import { type LeaseTiming, trustedPart } from './timing.ts';
import { encodeValue } from './value.ts';
import { ClusterView } from './view.ts';

export interface KeeperOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LeaseLog;
  readonly timing: LeaseTiming;
  readonly us: Claimant;
  /** What this node is configured with; it must not contradict what the store says. */
  readonly local: { readonly networks: readonly LeaseNetwork[]; readonly backend: ClusterBackend };
  /** From before this start: what to come up with while the store is away. */
  readonly saved: SavedLease | undefined;
  /** Called when something that is worth keeping has changed. */
  readonly onSave: () => void;
  readonly signal: AbortSignal;
}

export interface SavedLease {
  readonly lease: Lease;
  readonly cluster: ClusterConfig;
  readonly peers: readonly Lease[];
  /** Milliseconds of this boot's CLOCK_BOOTTIME; 0 where it has passed or cannot be told. */
  readonly deadlineMs: number;
}

interface Held {
  readonly key: string;
  readonly session: string;
}

/** For how long the store gave a session, counted from when it was asked. */
interface Term {
  readonly askedMs: number;
  readonly ttlSeconds: number;
}

export class LeaseKeeper implements LeaseHolder {
  /** Resolves once there is a lease, from the store or from before; rejects with why there can be none. */
  readonly acquired: Promise<void>;
  /** Resolves when the signal has fired and nothing runs any more. */
  readonly done: Promise<void>;

  readonly #options: KeeperOptions;
  readonly #view = new ClusterView();
  readonly #table: PeerTable;
  readonly #bell = new Bell();
  readonly #follower: Follower;
  readonly #peerListeners = new Listeners<Peers>();
  readonly #statusListeners = new Listeners<LeaseStatus>();
  #us: Claimant;
  /** `#us.attributes` as they stand in the store. */
  #value: string;
  /** The lease's attributes, likewise: what peers have been told. */
  #publishedValue = '';
  #cluster: ClusterConfig | undefined;
  #lease: Lease | undefined;
  #held: Held | undefined;
  #spare: string | undefined;
  #phase: LeasePhase = 'lost';
  #reason: string | undefined;
  #trouble: StoreError | undefined;
  #deadlineMs = 0;
  #confirmedMs: number | undefined;
  #settled = false;
  #failed = false;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#us = options.us;
    this.#value = encodeValue(options.us.attributes);
    const { clock, timing, saved } = options;
    this.#table = new PeerTable({ graceSeconds: timing.graceSeconds, clock, saved: saved?.peers ?? [] });
    this.acquired = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.acquired.catch(() => undefined);
    this.#follower = follow({
      store: options.store,
      clock,
      random: options.random,
      relistSeconds: timing.relistSeconds,
      signal: options.signal,
      onItem: (item) => this.#take(item),
      onTrouble: (error) => this.#heed(error),
    });
    this.done = Promise.all([this.#follower.done, this.#run()]).then(() => undefined);
    this.done.catch((error: unknown) => this.#reject(error));
  }

  get lease(): Lease {
    if (!this.#lease) throw new LeaseError('not-held', 'there is no lease yet');
    return this.#lease;
  }

  get cluster(): ClusterConfig {
    if (!this.#cluster) throw new LeaseError('not-held', "the cluster's configuration is not known yet");
    return this.#cluster;
  }

  get peers(): Peers {
    return this.#table.peers;
  }

  get status(): LeaseStatus {
    const away = this.#phase === 'held' && this.#trouble !== undefined;
    return {
      phase: away ? 'away' : this.#phase,
      deadlineMs: this.#deadlineMs,
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
    const value = encodeValue(attributes);
    this.#us = { ...this.#us, attributes };
    this.#value = value;
    const written = (): boolean =>
      this.#lease !== undefined && encodeValue(this.#lease) === value && this.#phase === 'held';
    const waiting = new Bell();
    this.watchStatus(() => waiting.ring(), signal);
    this.#bell.ring();
    // Whoever gave other attributes meanwhile waits for those.
    while (this.#value === value && !written()) await waiting.wait(60_000, this.#options.clock, signal);
  }

  async release(signal: AbortSignal): Promise<void> {
    const { store, timing } = this.#options;
    const held = this.#held;
    if (!held) throw new LeaseError('not-held', this.#reason ?? 'the lease is not held');
    const { session: markSession } = await store.grant(timing.cooldownSeconds, signal);
    const mark = `${this.#us.id} ${this.#us.run}`;
    const nodeId = this.#us.id;
    const fresh = new ClusterView();
    const keys = recordKeys(held.key, nodeId);
    fresh.apply({ type: 'list', records: await store.read(keys, signal), cursor: '' });
    const done =
      this.#seemsOurs(fresh, held) &&
      (await store.commit(giveBack({ view: fresh, key: held.key, nodeId, mark, markSession }), signal));
    if (!done) throw new LeaseError('not-held', `subnet ${held.key} was changed meanwhile: try again`);
    this.#leave();
    await store.revoke(held.session, signal);
  }

  // ---- what the follower tells

  #take(item: WatchItem): void {
    const first = !this.#view.complete;
    const changed = this.#view.apply(item);
    if (changed.size === 0 && !first) return;
    this.#updatePeers();
    this.#bell.ring();
  }

  #heed(error: StoreError | undefined): void {
    if (error?.message === this.#trouble?.message) return;
    const { log, store } = this.#options;
    if (error) log.warn({ store: store.description, err: error, kind: error.kind }, 'store.away');
    else if (this.#trouble) log.info({ store: store.description }, 'store.back');
    this.#trouble = error;
    if (error && !this.#settled) this.#comeUpWithout(error);
    this.#announce();
  }

  /** Before the first answer of the store: go on with what was saved, or give up where waiting cannot help. */
  #comeUpWithout(error: StoreError): void {
    const { saved, log } = this.#options;
    if (saved) {
      this.#lease = { ...saved.lease, ...this.#us.attributes };
      this.#cluster = saved.cluster;
      this.#deadlineMs = saved.deadlineMs;
      this.#phase = 'away';
      this.#reason = error.message;
      log.warn({ key: saved.lease.key, deadlineMs: saved.deadlineMs }, 'lease.fromBefore');
      this.#updatePeers();
      this.#settle();
    } else if (error.kind === 'refused') this.#fail(error);
  }

  #updatePeers(): void {
    const lease = this.#lease;
    const rules = {
      networks: this.#cluster?.networks,
      own: lease?.key,
      ownSubnets: lease?.subnets ?? [],
      ownIps: this.#us.attributes.publicIps,
    };
    const before = this.#table.peers.problems;
    // Until our own lease is known, a list would show it as a peer's.
    if (!lease || !this.#table.update(this.#view, rules)) return;
    const peers = this.#table.peers;
    const known = new Set(before.map(({ key, reason }) => key + reason));
    for (const problem of peers.problems) {
      if (!known.has(problem.key + problem.reason)) this.#options.log.warn(problem, 'peer.problem');
    }
    this.#peerListeners.tell(peers);
    this.#options.onSave();
  }

  // ---- the acting loop

  async #run(): Promise<void> {
    const { signal, clock, random } = this.#options;
    const backoff = new Backoff({ firstMs: 200, longestMs: 5000, random });
    const silent = new Set<string>();
    for (let attempt = 0; !signal.aborted && !this.#failed; ) {
      try {
        if (this.#phase === 'left') await this.#bell.wait(3_600_000, clock, signal);
        else if (this.#held) {
          await this.#hold(this.#held);
          attempt = 0;
        } else if (!this.#view.complete) await this.#bell.wait(60_000, clock, signal);
        else if (await this.#seek(attempt, silent)) backoff.reset();
        else {
          attempt++;
          await this.#bell.wait(backoff.next(), clock, signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof StoreError)) {
          if (!(error instanceof LeaseError)) throw error;
          this.#blocked(error);
        } else if (error.kind === 'refused' && !this.#settled) this.#fail(error);
        else this.#note(error);
        await this.#bell.wait(backoff.next(), clock, signal).catch(() => undefined);
      }
    }
  }

  /** One attempt at a lease. False: somebody was faster, or what is known is out of date. */
  async #seek(attempt: number, silent: Set<string>): Promise<boolean> {
    const cluster = await this.#agree();
    if (!cluster) return false;
    const decision = decide({
      view: this.#view,
      us: this.#us,
      config: cluster,
      placement: this.#options.store.placement,
      attempt,
      silent,
      only: this.#lease?.key,
    });
    silent.clear();
    if (decision.type === 'refuse') throw decision.refusal;
    if (decision.type === 'doubt') return this.#probe(decision, silent);
    return decision.type === 'resume' ? this.#resume(decision.key) : this.#claim(decision);
  }

  async #probe(doubt: Extract<Decision, { type: 'doubt' }>, silent: Set<string>): Promise<boolean> {
    const { store, clock, signal, log } = this.#options;
    log.info({ session: doubt.session, doubt: doubt.refusal.message }, 'lease.probing');
    if (!(await isSilent({ store, clock, signal, ...doubt }))) throw doubt.refusal;
    silent.add(doubt.session);
    return true;
  }

  async #resume(key: string): Promise<boolean> {
    const { store, clock, signal } = this.#options;
    const session = this.#view.node(this.#us.id)?.session;
    if (session === undefined) return false;
    const askedMs = clock.now();
    const ttlSeconds = await store.keepAlive(session, signal);
    if (ttlSeconds === 0 || (await this.#verdict(key)) !== 'ours') {
      this.#follower.relist();
      return false;
    }
    const attributes = this.#view.subnet(key)?.attributes ?? this.#us.attributes;
    this.#gain({ key, session }, { askedMs, ttlSeconds }, attributes);
    return true;
  }

  async #claim(decision: Extract<Decision, { type: 'claim' }>): Promise<boolean> {
    const { store, signal, timing, log } = this.#options;
    const { key, replaces, deletes } = decision;
    const renewSeconds = timing.renewSeconds;
    const us = this.#us;
    // Before anything is awaited: what is compared must be what was decided on.
    const transaction = takeLease({ view: this.#view, us, key, renewSeconds, replaces, deletes });
    const ended = replaces.map((id) => this.#view.node(id)?.session);
    const { session, ...term } = await this.#openSession();
    if (!(await store.commit(transaction(session), signal))) {
      log.info({ key }, 'lease.raceLost');
      this.#follower.relist();
      return false;
    }
    this.#spare = undefined;
    this.#gain({ key, session }, term, us.attributes);
    for (const other of ended) {
      if (other !== undefined && other !== session) await store.revoke(other, signal);
    }
    return true;
  }

  /** The session of our own record if it lives, one left from a lost race, or a new one. */
  async #openSession(): Promise<{ session: string } & Term> {
    const { store, clock, signal, timing } = this.#options;
    const mine = this.#view.node(this.#us.id);
    const candidates = [mine?.run === this.#us.run ? mine.session : undefined, this.#spare];
    for (const session of candidates) {
      if (session === undefined) continue;
      const askedMs = clock.now();
      const ttlSeconds = await store.keepAlive(session, signal);
      if (ttlSeconds > 0) return { session, askedMs, ttlSeconds };
    }
    const askedMs = clock.now();
    const granted = await store.grant(timing.ttlSeconds, signal);
    this.#spare = granted.session;
    return { ...granted, askedMs };
  }

  /** Renews, and looks after our record, until it is lost. */
  async #hold(held: Held): Promise<void> {
    const { store, clock, signal, timing, random } = this.#options;
    const renewMs = Math.min(timing.renewSeconds, timing.ttlSeconds / 3) * 1000;
    const backoff = new Backoff({ firstMs: renewMs / 10, longestMs: renewMs, random });
    let renewAtMs = clock.now() + jittered(renewMs, random);
    while (this.#held === held) {
      signal.throwIfAborted();
      try {
        if (clock.now() >= renewAtMs) {
          const askedMs = clock.now();
          const ttlSeconds = await store.keepAlive(held.session, signal);
          if (this.#held !== held) return;
          if (ttlSeconds === 0) return this.#lose('the store let our lease expire');
          this.#confirm({ askedMs, ttlSeconds });
          backoff.reset();
          renewAtMs = askedMs + jittered(renewMs, random);
        }
        await this.#look(held);
      } catch (error) {
        if (signal.aborted || !(error instanceof StoreError)) throw error;
        this.#note(error);
        renewAtMs = clock.now() + backoff.next();
      }
      if (this.#held !== held) return;
      const dropMs = this.#table.nextEndMs;
      if (dropMs !== undefined && dropMs <= clock.now()) this.#updatePeers();
      const nextMs = Math.min(renewAtMs, this.#table.nextEndMs ?? renewAtMs);
      await this.#bell.wait(Math.max(nextMs - clock.now(), 1), clock, signal);
    }
  }

  /** Compares our record with what it should be: asks the store only if the view raises a doubt. */
  async #look(held: Held): Promise<void> {
    const { store, signal } = this.#options;
    const value = encodeValue(this.#us.attributes);
    if (
      this.#seemsOurs(this.#view, held) &&
      this.#view.records.get(subnetsFolder + held.key)?.value === value
    ) {
      return this.#published();
    }
    const fresh = new ClusterView();
    const verdict = await this.#verdict(held.key, fresh);
    if (this.#held !== held) return;
    if (verdict !== 'ours') return verdict === 'left' ? this.#leave() : this.#lose(verdict);
    if (fresh.records.get(subnetsFolder + held.key)?.value !== value) {
      if (!(await store.commit(changeLease({ view: fresh, us: this.#us, key: held.key }), signal))) return;
    }
    this.#published();
  }

  /** Asks the store whose a subnet is: `ours`, `left` if we were told to leave, or what happened in words. */
  async #verdict(key: string, fresh = new ClusterView()): Promise<string> {
    const { store, signal } = this.#options;
    const { id, run } = this.#us;
    const keys = recordKeys(key, id);
    fresh.apply({ type: 'list', records: await store.read(keys, signal), cursor: '' });
    const session = fresh.node(id)?.session;
    if (session !== undefined && this.#seemsOurs(fresh, { key, session })) return 'ours';
    const mark = fresh.released(key);
    if (mark?.id === id && mark.run === run) return 'left';
    const node = fresh.node(id);
    if (node && node.run !== run) {
      return `another agent with our node id ${id} took it: was this machine cloned with its state directory?`;
    }
    return fresh.subnet(key) ? 'another node took it' : 'somebody deleted it';
  }

  #seemsOurs(view: ClusterView, held: Held): boolean {
    const node = view.node(this.#us.id);
    const record = view.records.get(subnetsFolder + held.key);
    return (
      node?.run === this.#us.run &&
      node.subnet === held.key &&
      record !== undefined &&
      (record.session === undefined || record.session === held.session)
    );
  }

  /** Reads the cluster's configuration, or writes it if it has none. Undefined: somebody was faster. */
  async #agree(): Promise<ClusterConfig | undefined> {
    const { store, local, log, signal } = this.#options;
    const where = `${store.description} ${configKey}`;
    const record = this.#view.records.get(configKey);
    if (record) {
      const cluster = decodeClusterConfig(record.value, where);
      const differences = contradictions(local, cluster);
      if (differences.length > 0) {
        throw new LeaseError(
          'cluster-config',
          `this node is configured otherwise than the cluster (${where}): ${differences.join('; ')}; ` +
            'correct the configuration of the node, or of the cluster with weftctl cluster init --replace',
        );
      }
      this.#cluster = cluster;
      return cluster;
    }
    const cluster = { networks: local.networks.map(defaultRange), backend: local.backend };
    const value = encodeClusterConfig(cluster);
    const created = await store.commit(
      {
        compare: [{ key: configKey, version: absent }],
        write: [{ type: 'put', key: configKey, value, session: undefined }],
      },
      signal,
    );
    if (created) log.info({ store: store.description, config: value }, 'cluster.created');
    this.#follower.relist();
    return undefined;
  }

  // ---- what becomes of us

  #gain(held: Held, term: Term, attributes: LeaseAttributes): void {
    const subnets = parseSubnetKey(held.key) ?? [];
    this.#held = held;
    this.#lease = { key: held.key, subnets, ...attributes, nodeName: this.#us.name };
    this.#publishedValue = encodeValue(attributes);
    this.#confirm(term);
    this.#options.log.info({ key: held.key, session: held.session }, 'lease.held');
    this.#updatePeers();
    this.#settle();
  }

  #confirm(term: Term): void {
    this.#deadlineMs = term.askedMs + term.ttlSeconds * 1000 * trustedPart;
    this.#confirmedMs = term.askedMs;
    this.#become('held', undefined);
    this.#options.onSave();
  }

  #published(): void {
    const lease = this.#lease;
    if (!lease || this.#publishedValue === this.#value) return;
    this.#publishedValue = this.#value;
    this.#lease = { ...lease, ...this.#us.attributes };
    this.#options.log.info({ key: lease.key, value: encodeValue(this.#lease) }, 'lease.changed');
    this.#updatePeers();
    this.#announce();
    this.#options.onSave();
  }

  #lose(reason: string): void {
    const key = this.#held?.key;
    this.#held = undefined;
    this.#deadlineMs = 0;
    const text = `subnet ${key} is lost: ${reason}; no new pods are made until it is ours again`;
    this.#options.log.error({ key, reason }, 'lease.lost');
    this.#become('lost', text);
    this.#follower.relist();
    this.#options.onSave();
  }

  #leave(): void {
    this.#options.log.info({ key: this.#held?.key }, 'lease.left');
    this.#held = undefined;
    this.#deadlineMs = 0;
    this.#become(
      'left',
      'this node was told to leave and gave its subnet back: restart the agent to join again',
    );
    this.#bell.ring();
    this.#options.onSave();
  }

  /** A refusal ends the first search; later it is a state that may pass. */
  #blocked(error: LeaseError): void {
    if (!this.#settled) {
      this.#fail(error);
      return;
    }
    if (this.#phase !== 'lost' || this.#reason !== error.message) {
      this.#options.log.error({ err: error, code: error.code }, 'lease.blocked');
    }
    this.#deadlineMs = 0;
    this.#become('lost', error.message);
    this.#options.onSave();
  }

  #note(error: StoreError): void {
    if (this.#settled && this.#phase === 'held') this.#become('away', error.message);
    this.#options.log.debug({ err: error }, 'store.error');
  }

  #become(phase: LeasePhase, reason: string | undefined): void {
    if (phase === this.#phase && reason === this.#reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.#announce();
  }

  #announce(): void {
    this.#statusListeners.tell(this.status);
  }

  #settle(): void {
    this.#settled = true;
    this.#resolve();
  }

  /** There is no lease to be had: nothing more is tried. */
  #fail(error: unknown): void {
    this.#settled = true;
    this.#failed = true;
    this.#reject(error);
  }
}
