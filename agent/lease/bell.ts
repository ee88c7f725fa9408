/** Wakes one waiter before its time. A ring while nobody waits is kept for the next. */
import type { Clock } from './clock.ts';

export class Bell {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `ms` or at a ring; rejects with the signal's reason when that fires. */
  async wait(ms: number): Promise<void> {
    this.#signal.throwIfAborted();
    if (!this.#rung && ms > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(ms, () => this.#wake?.());
        this.#wake = () => {
          this.#wake = undefined;
          cancel();
          resolve();
        };
      });
      this.#signal.throwIfAborted();
    }
    this.#rung = false;
  }
}
