/** Whether the holder of a session is alive: decided by its renewals alone, on our clock. */
import { type Clock, sleep } from '../../../clock/clock.ts';
import type { LeaseStore } from '../store/store.ts';

/** A holder that misses this many renewals in a row is dead to whoever has its address. */
export const silentAfterRenewals = 3;

/** etcd tells a session's age in whole seconds: what is less than this apart is the same renewal. */
const granularityMs = 2000;

/**
 * Watches the session until its holder is heard, or has been silent for three of its renewals. Takes at most
 * that long. A holder that is alive is found out at its next renewal.
 */
export async function isSilent(options: {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly session: string;
  readonly renewSeconds: number;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  const { store, clock, session, signal } = options;
  const renewMs = options.renewSeconds * 1000;
  const longestMs = silentAfterRenewals * renewMs;
  let firstHeardMs: number | undefined;
  for (;;) {
    const seconds = await store.silence(session, signal);
    if (seconds === undefined) return true;
    const silentMs = seconds * 1000;
    if (silentMs >= longestMs) return true;
    const heardMs = clock.now() - silentMs;
    firstHeardMs ??= heardMs;
    if (heardMs - firstHeardMs > granularityMs) return false;
    await sleep(clock, Math.max(Math.min(longestMs - silentMs, renewMs / 4), 50), signal);
  }
}
