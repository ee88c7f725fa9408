/** Keeping a lease: renewed by keepalives alone; written again only when what we say of ourselves changes. */
import type { Clock } from '../../../clock/clock.ts';
import { Backoff, jittered, type Random } from '../../../retry/backoff.ts';
import type { Bell } from '../../../retry/bell.ts';
import { StoreError } from '../errors.ts';
import { subnetsFolder } from '../flannel/key.ts';
import type { LeaseStore } from '../store/store.ts';
import type { LeaseTiming } from '../timing.ts';
import type { ClusterView } from '../view/view.ts';
import { changeLease, tellsExtension } from './claim.ts';
import type { Held, Standing } from './standing.ts';
import { readLease, seemsOurs, verdictOf } from './verdict.ts';

export interface HoldOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: LeaseTiming;
  readonly view: ClusterView;
  readonly standing: Standing;
  /** Rung when there is something to look at. */
  readonly bell: Bell;
  /** Does what is due with the peers by now; answers when something is due next. */
  readonly tendPeers: () => number | undefined;
  readonly signal: AbortSignal;
}

/** Renews, and looks after our record, until it is lost or given back. Throws when the signal fires. */
export async function hold(held: Held, options: HoldOptions): Promise<void> {
  const { store, clock, random, timing, standing, bell, tendPeers, signal } = options;
  const renewMs = Math.min(timing.renewSeconds, timing.ttlSeconds / 3) * 1000;
  const backoff = new Backoff({ firstMs: renewMs / 10, longestMs: renewMs, random });
  let renewAtMs = clock.now() + jittered(renewMs, random);
  while (standing.held === held) {
    signal.throwIfAborted();
    try {
      if (clock.now() >= renewAtMs) {
        const askedMs = clock.now();
        const ttlSeconds = await store.keepAlive(held.session, signal);
        if (standing.held !== held) return;
        if (ttlSeconds === 0) return standing.lose('the store let our lease expire');
        standing.confirm({ askedMs, ttlSeconds });
        if (standing.held !== held) return;
        backoff.reset();
        renewAtMs = askedMs + jittered(renewMs, random);
      }
      await look(held, options);
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error;
      standing.unanswered(error);
      renewAtMs = clock.now() + backoff.next();
    }
    if (standing.held !== held) return;
    const nextMs = Math.min(renewAtMs, tendPeers() ?? renewAtMs);
    await bell.wait(Math.max(nextMs - clock.now(), 1), signal);
    signal.throwIfAborted();
  }
}

/** Compares our record with what it should be: asks the store only if the view raises a doubt. */
async function look(held: Held, { store, view, standing, signal }: HoldOptions): Promise<void> {
  const { us, value, text } = standing;
  const { key } = held;
  const told = (known: ClusterView): boolean =>
    known.records.get(subnetsFolder + key)?.value === value && tellsExtension(known, us);
  if (seemsOurs(view, us, held) && told(view)) return standing.published(text);
  const fresh = await readLease({ store, key, nodeId: us.id, signal });
  if (standing.held !== held) return;
  const verdict = verdictOf(fresh, us, key);
  if (verdict === 'left') return standing.leave();
  if (verdict !== 'ours') return standing.lose(verdict);
  if (!told(fresh)) {
    const change = changeLease({ view: fresh, us, key });
    if (!(await store.commit(change, signal))) return;
  }
  standing.published(text);
}
