/**
 * One timer for any wait. Node.js makes a wait of more than 2^31-1 ms (24.8 days) one of 1 ms, so that a loop which
 * waits longer would spin: a longer wait is made of several timers.
 */
const LONGEST_MS = 2 ** 31 - 1;

/** Runs it once, `ms` later (`Infinity`: never); what it returns cancels it. */
export function after(ms: number, run: () => void): () => void {
  if (Number.isNaN(ms)) throw new RangeError('a wait must be a number of milliseconds');
  let leftMs = Math.max(0, ms);
  let timer: NodeJS.Timeout;
  const next = (): void => {
    const partMs = Math.min(leftMs, LONGEST_MS);
    leftMs -= partMs;
    timer = setTimeout(() => (leftMs > 0 ? next() : run()), partMs);
  };
  next();
  return () => clearTimeout(timer);
}

/** Fires after `ms`, as AbortSignal.timeout does, which fires at once for more than 24.8 days. */
export const deadlineSignal = (ms: number): AbortSignal =>
  AbortSignal.timeout(Math.min(Math.max(0, Math.ceil(ms)), LONGEST_MS));
