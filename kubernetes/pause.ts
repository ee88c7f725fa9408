/** Pauses between attempts: doubling, each anything up to its length, so that a thousand agents do not come back in step. */

export interface PauseOptions {
  readonly firstMs: number;
  readonly longestMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export class Pauses {
  readonly #options: PauseOptions;
  #nextMs: number;

  constructor(options: PauseOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }

  next(): number {
    const { firstMs, longestMs, random } = this.#options;
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, longestMs);
    return Math.max(firstMs / 10, ms * random());
  }
}
