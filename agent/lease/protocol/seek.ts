/** From no lease to one: one attempt after another, each decided on what is known and won by a comparison. */
import type { Clock } from '../../../clock/clock.ts';
import type { Log } from '../../../log/log.ts';
import type { LeaseStore } from '../store/store.ts';
import type { LeaseTiming } from '../timing.ts';
import type { ClusterView } from '../view/view.ts';
import type { Agreement } from './agreement.ts';
import { takeLease } from './claim.ts';
import { type Decision, decide } from './decide.ts';
import { isSilent } from './probe.ts';
import type { Standing, Term } from './standing.ts';
import { readLease, verdictOf } from './verdict.ts';

export interface SeekerOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly timing: LeaseTiming;
  readonly view: ClusterView;
  readonly standing: Standing;
  readonly agreement: Agreement;
  /** Has the view made whole again. */
  readonly relist: () => void;
  readonly signal: AbortSignal;
}

export class Seeker {
  readonly #options: SeekerOptions;
  /** Sessions whose holders have just been found silent. */
  readonly #silent = new Set<string>();
  /** A session that was opened for a race that is lost. */
  #spare: string | undefined;

  constructor(options: SeekerOptions) {
    this.#options = options;
  }

  /**
   * One attempt, the `attempt`th in a row. False: somebody was faster, or what is known is out of date. Throws
   * `LeaseError` where there is none to be had, `StoreError`.
   */
  async seek(attempt: number): Promise<boolean> {
    const { store, view, standing, agreement, relist } = this.#options;
    const config = await agreement.reach(view);
    if (!config) {
      relist();
      return false;
    }
    const decision = decide({
      view,
      us: standing.us,
      config,
      placement: store.placement,
      attempt,
      silent: this.#silent,
      only: standing.lease?.key,
    });
    this.#silent.clear();
    if (decision.type === 'refuse') throw decision.refusal;
    if (decision.type === 'doubt') return this.#probe(decision);
    return decision.type === 'resume' ? this.#resume(decision.key) : this.#claim(decision);
  }

  async #probe(doubt: Extract<Decision, { type: 'doubt' }>): Promise<boolean> {
    const { store, clock, signal, log } = this.#options;
    log.info('lease.ownerProbe', { session: doubt.session, doubt: doubt.refusal.message });
    if (!(await isSilent({ store, clock, signal, ...doubt }))) throw doubt.refusal;
    this.#silent.add(doubt.session);
    return true;
  }

  async #resume(key: string): Promise<boolean> {
    const { store, clock, signal, view, standing, relist } = this.#options;
    const { id } = standing.us;
    const session = view.node(id)?.session;
    if (session === undefined) return false;
    const askedMs = clock.now();
    const ttlSeconds = await store.keepAlive(session, signal);
    const ours = async (): Promise<boolean> => {
      const fresh = await readLease({ store, key, nodeId: id, signal });
      return verdictOf(fresh, standing.us, key) === 'ours' && !fresh.released(key);
    };
    if (ttlSeconds === 0 || !(await ours())) {
      relist();
      return false;
    }
    const extension = view.node(id)?.extension;
    const stored = view.subnet(key)?.attributes;
    const attributes = stored ? { ...stored, ...(extension ? { extension } : {}) } : standing.us.attributes;
    standing.gain({ key, session }, { askedMs, ttlSeconds }, attributes);
    return true;
  }

  async #claim(decision: Extract<Decision, { type: 'claim' }>): Promise<boolean> {
    const { store, signal, timing, log, view, standing, relist } = this.#options;
    const { key, replaces, deletes } = decision;
    const { us } = standing;
    // Before anything is awaited: what is compared must be what was decided on.
    const transaction = takeLease({ view, us, key, renewSeconds: timing.renewSeconds, replaces, deletes });
    const ended = replaces.map((id) => view.node(id)?.session);
    const { session, ...term } = await this.#openSession();
    if (!(await store.commit(transaction(session), signal))) {
      log.info('lease.claimConflict', { key });
      relist();
      return false;
    }
    this.#spare = undefined;
    standing.gain({ key, session }, term, us.attributes);
    for (const other of ended) {
      if (other !== undefined && other !== session) await store.revoke(other, signal);
    }
    return true;
  }

  /** The session of our own record if it lives, one left from a lost race, or a new one. */
  async #openSession(): Promise<{ session: string } & Term> {
    const { store, clock, signal, timing, view, standing } = this.#options;
    const mine = view.node(standing.us.id);
    for (const session of [mine?.run === standing.us.run ? mine.session : undefined, this.#spare]) {
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
}
