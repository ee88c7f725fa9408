/** Time as a value that is passed in, so that a simulation can own it. */
import { readFileSync } from 'node:fs';

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
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
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

/** Identifies this boot of this kernel (random(4)). */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** From 0 to 1, like Math.random. */
export type Random = () => number;

/** `ms` give or take a tenth, so that a thousand agents do not act in step. */
export const jittered = (ms: number, random: Random): number => ms * (0.9 + 0.2 * random());

/**
 * Pauses between attempts: doubling from `firstMs` to `longestMs`, each cut to between `least` of it and the whole.
 * `least` is a half unless given: less where many should not act at once, for they were all stopped at once.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #least: number;
  readonly #random: Random;
  #nextMs: number;

  constructor(options: { firstMs: number; longestMs: number; least?: number; random: Random }) {
    this.#firstMs = options.firstMs;
    this.#longestMs = options.longestMs;
    this.#least = options.least ?? 0.5;
    this.#random = options.random;
    this.#nextMs = options.firstMs;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }

  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#longestMs);
    return ms * (this.#least + (1 - this.#least) * this.#random());
  }
}
