/**
 * How this node stands: what it holds, since when and until when, and who wants to hear of it. Says what the
 * protocol's steps mean; takes none of them.
 */
import type { Log } from '../../../log/log.ts';
import type { LeaseError, StoreError } from '../errors.ts';
import { encodeExtension } from '../extension.ts';
import type { ClusterConfig } from '../flannel/cluster-config.ts';
import { parseSubnetKey } from '../flannel/key.ts';
import { encodeValue } from '../flannel/value.ts';
import type { LeasePhase, LeaseStatus } from '../holder.ts';
import type { Lease, LeaseAttributes } from '../lease.ts';
import { Listeners } from '../listeners.ts';
import { trustedPart } from '../timing.ts';
import type { Claimant } from './decide.ts';

/** A subnet and the session that its records are bound to. */
export interface Held {
  readonly key: string;
  readonly session: string;
}

/** For how long the store gave a session, counted from when it was asked. */
export interface Term {
  readonly askedMs: number;
  readonly ttlSeconds: number;
}

/** What is kept on disk between two lives of a node. */
export interface SavedLease {
  readonly lease: Lease;
  readonly cluster: ClusterConfig;
  readonly peers: readonly Lease[];
  /** Of the Node that gave the subnets, where the store is Kubernetes. */
  readonly nodeUid?: string;
  /** Milliseconds of this boot's CLOCK_BOOTTIME; 0 where it has passed or cannot be told. */
  readonly deadlineMs: number;
}

/** Why nothing is claimed any more. */
export const toldToLeave =
  'this node was told to leave and gave its subnet back: restart the agent to join again';

export type SaveTime = 'now' | 'soon';

export interface StandingOptions {
  readonly us: Claimant;
  readonly log: Log;
  /** The lease, its peers' rules or its deadline have changed. */
  readonly onSave: (when: SaveTime) => void;
  /** Whether the disk says by now that this node was told to leave, though no word of it came from the store. */
  readonly renounced: () => boolean;
  /** What we hold, or say of ourselves, is new. */
  readonly onLease: () => void;
}

export class Standing {
  /** Resolves once there is a lease, from the store or from before; rejects with why there can be none. */
  readonly acquired: Promise<void>;
  /** `acquired` is decided. */
  settled = false;
  /** There is no lease to be had: nothing more is tried. */
  failed = false;
  readonly listeners = new Listeners<LeaseStatus>();
  readonly #options: StandingOptions;
  #us: Claimant;
  #value: string;
  /** Value and extension. */
  #text: string;
  #lease: Lease | undefined;
  /** The lease's attributes as the store has them: what peers have been told. */
  #publishedText = '';
  #held: Held | undefined;
  #phase: LeasePhase = 'lost';
  #reason: string | undefined;
  #trouble: StoreError | undefined;
  #deadlineMs = 0;
  #confirmedMs: number | undefined;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.#us = options.us;
    this.#value = encodeValue(options.us.attributes);
    this.#text = textOfAttributes(options.us.attributes);
    this.acquired = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.acquired.catch(() => undefined);
  }

  get us(): Claimant {
    return this.#us;
  }

  /** Our attributes, as the store should have them. */
  get value(): string {
    return this.#value;
  }

  /** The same with what flannel's record has no place for. */
  get text(): string {
    return this.#text;
  }

  get lease(): Lease | undefined {
    return this.#lease;
  }

  get held(): Held | undefined {
    return this.#held;
  }

  /** The store does not answer; why. */
  get trouble(): StoreError | undefined {
    return this.#trouble;
  }

  get phase(): LeasePhase {
    return this.#phase;
  }

  get status(): LeaseStatus {
    const searches = !this.settled && this.#phase === 'lost';
    const away = (this.#phase === 'held' || searches) && this.#trouble !== undefined;
    return {
      phase: away ? 'away' : this.#phase,
      deadlineMs: this.#deadlineMs,
      confirmedMs: this.#confirmedMs,
      reason: away ? this.#trouble?.message : this.#reason,
    };
  }

  /** Peers are to be told something else about us. */
  describe(attributes: LeaseAttributes): void {
    this.#us = { ...this.#us, attributes };
    this.#value = encodeValue(attributes);
    this.#text = textOfAttributes(attributes);
  }

  /** Whether the store has what peers are to be told. */
  get told(): boolean {
    return this.#lease !== undefined && this.#publishedText === this.#text && this.#phase === 'held';
  }

  gain(held: Held, term: Term, attributes: LeaseAttributes): void {
    const { log, onLease } = this.#options;
    this.#held = held;
    const subnets = parseSubnetKey(held.key) ?? [];
    this.#lease = { key: held.key, subnets, ...attributes, nodeName: this.#us.name };
    this.#publishedText = textOfAttributes(attributes);
    this.confirm(term);
    if (this.#held) log.info('lease.acquired', { key: held.key, session: held.session });
    onLease();
    // Before anything is made of it: a machine that fails now comes up with it, the store there or not.
    this.save('now');
    this.#settle();
  }

  /** The store has renewed it. */
  confirm(term: Term): void {
    this.#deadlineMs = term.askedMs + term.ttlSeconds * 1000 * trustedPart;
    this.#confirmedMs = term.askedMs;
    this.#become('held', undefined);
    this.save('soon');
  }

  /** The store has these attributes of ours, given as `text`. */
  published(text: string): void {
    const lease = this.#lease;
    if (!lease || this.#publishedText === text || text !== this.#text) return;
    const { log, onLease } = this.#options;
    this.#publishedText = text;
    this.#lease = { ...lease, ...this.#us.attributes };
    log.info('lease.updated', { key: lease.key, value: this.#value });
    onLease();
    this.#announce();
    this.save('soon');
  }

  lose(reason: string): void {
    const key = this.#held?.key;
    this.#options.log.error('lease.lost', { key, reason });
    const text = `subnet ${key} is lost: ${reason}; no new pods are made until it is ours again`;
    this.#end('lost', text);
  }

  leave(): void {
    this.#options.log.info('lease.released', { key: this.#held?.key });
    this.#end('left', toldToLeave);
  }

  /** A refusal ends the first search; later it is a state that may pass. */
  refuse(error: LeaseError): void {
    if (!this.settled) {
      this.fail(error);
      return;
    }
    if (this.#phase !== 'lost' || this.#reason !== error.message) {
      this.#options.log.error('lease.refused', { code: error.code, reason: error.message });
    }
    this.#end('lost', error.message);
  }

  /** A request of ours was not answered. */
  unanswered(error: StoreError): void {
    if (this.settled && this.#phase === 'held') this.#become('away', error.message);
    this.#options.log.debug('store.requestFailed', { reason: error.message });
  }

  /** The store stops answering, with the reason, or answers again. True if that is new. */
  heed(error: StoreError | undefined): boolean {
    if (error?.message === this.#trouble?.message) return false;
    this.#trouble = error;
    return true;
  }

  /** Goes on with what was saved before this life. */
  comeUpWith(saved: SavedLease, reason: string): void {
    this.#lease = { ...saved.lease, ...this.#us.attributes };
    this.#deadlineMs = saved.deadlineMs;
    this.#phase = 'away';
    this.#reason = reason;
    const { key } = saved.lease;
    this.#options.log.warn('lease.resumed', { key, deadlineMs: saved.deadlineMs });
    this.#options.onLease();
    this.save('soon');
    this.#settle();
  }

  fail(error: unknown): void {
    this.settled = true;
    this.failed = true;
    this.#reject(error);
  }

  /**
   * What is kept on disk has changed. What we know may be older than what was put there by hand, and whoever makes pods
   * goes by the disk: a node that was told to leave has left.
   */
  save(when: SaveTime): void {
    if (this.#phase !== 'left' && this.#options.renounced()) this.leave();
    else this.#options.onSave(when);
  }

  /** For when what `status` is derived from has changed. */
  announce(): void {
    this.#announce();
  }

  #end(phase: 'lost' | 'left', reason: string): void {
    this.#held = undefined;
    this.#deadlineMs = 0;
    this.#become(phase, reason);
    this.save('now');
  }

  #become(phase: LeasePhase, reason: string | undefined): void {
    if (phase === this.#phase && reason === this.#reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.#announce();
  }

  #announce(): void {
    this.listeners.tell(this.status);
  }

  #settle(): void {
    this.settled = true;
    this.#resolve();
  }
}

const textOfAttributes = (attributes: LeaseAttributes): string =>
  [encodeValue(attributes), attributes.extension ? encodeExtension(attributes.extension) : ''].join('\n');
