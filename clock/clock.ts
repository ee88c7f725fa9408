/** Time as a value that is passed in, so that a simulation can own it. */
import { readFileSync } from 'node:fs';
import { after } from './after.ts';

export interface Clock {
  /** CLOCK_BOOTTIME in milliseconds: it never steps, and counts while the machine sleeps. */
  now(): number;
  /** Milliseconds since 1970. It may step: for what must outlive a reboot, and for people, only. */
  wallNow(): number;
  /** Runs it once, that much later; what it returns takes it back. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  // The first figure of /proc/uptime is CLOCK_BOOTTIME (proc(5), fs/proc/uptime.c) in hundredths of a second.
  now: () => Math.round(Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000),
  wallNow: () => Date.now(),
  after,
};

/** Rejects with the signal's reason when that fires. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}
