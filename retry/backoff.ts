/** How long to wait between attempts. */

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

/** The least and the longest delay in milliseconds. */
export interface DelayRange {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** The delay after `beforeMs`: twice as long, within the range; the least one at first. */
export const nextDelay = (beforeMs: number | undefined, range: DelayRange): number =>
  beforeMs === undefined ? range.leastMs : Math.min(2 * beforeMs, range.mostMs);
