/**
 * A node gives its own subnet back. Its request may be carried out though the answer is lost, or late, when the node
 * has gone on to something else. So nothing is claimed from before the records are deleted, in this life or the next
 * (the deadline on disk is gone by then); and they are deleted only under a mark, at which the next life writes them
 * anew (`decide.ts`), so that a deletion which is still on its way finds nothing to delete.
 */
import { type Clock, sleep } from '../../../clock/clock.ts';
import type { Log } from '../../../log/log.ts';
import { Backoff, type Random } from '../../../retry/backoff.ts';
import { isStoreError, LeaseError } from '../errors.ts';
import type { LeaseStore } from '../store/store.ts';
import type { LeaseTiming } from '../timing.ts';
import { giveBack, markReleased } from './claim.ts';
import type { Standing } from './standing.ts';
import { readLease, seemsOurs } from './verdict.ts';

export interface GiveBackOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timing: LeaseTiming;
  readonly standing: Standing;
  readonly signal: AbortSignal;
}

/**
 * Throws `LeaseError` `not-held`, and `StoreError` where the store does not answer before anything is given up; from
 * then on it goes on until the store does, or the signal fires.
 */
export async function giveBackOwn(options: GiveBackOptions): Promise<void> {
  const { store, clock, random, log, timing, standing, signal } = options;
  const { held, us, status } = standing;
  if (!held) throw new LeaseError('not-held', status.reason ?? 'the lease is not held');
  const { key } = held;
  const mark = `${us.id} ${us.run}`;
  const backoff = new Backoff({ firstMs: 200, longestMs: 5000, random });

  /** Whether the records are ours no more. */
  const round = async (): Promise<boolean> => {
    const view = await readLease({ store, key, nodeId: us.id, signal });
    if (!seemsOurs(view, us, held)) {
      if (standing.held === held)
        throw new LeaseError('not-held', `subnet ${key} was changed meanwhile: try again`);
      return true;
    }
    const { session: markSession } = await store.grant(timing.cooldownSeconds, signal);
    const at = { view, key, nodeId: us.id, mark, markSession };
    if (view.released(key)?.id !== us.id) {
      await store.commit(markReleased(at), signal);
      return false;
    }
    standing.leave();
    return store.commit(giveBack(at), signal);
  };

  for (;;) {
    try {
      if (await round()) break;
    } catch (error) {
      if (standing.held === held || !isStoreError(error, 'away')) throw error;
      log.debug('lease.releaseRetry', { key, reason: error.message });
      await sleep(clock, backoff.next(), signal);
    }
  }
  // Nothing is bound to it any more: unanswered, it ends by itself.
  await store
    .revoke(held.session, signal)
    .catch((error: unknown) => log.debug('store.requestFailed', { err: error }));
}
