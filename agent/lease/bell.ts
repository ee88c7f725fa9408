/** Wakes one waiter before its time. A ring while nobody waits is kept for the next. */
import type { Clock } from './clock.ts';

export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `ms` or at a ring; rejects with the signal's reason when that fires. */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung && ms > 0) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(ms, () => this.#wake?.());
        this.#wake = () => {
          this.#wake = undefined;
          signal.removeEventListener('abort', stop);
          cancel();
          resolve();
        };
        const stop = this.#wake;
        signal.addEventListener('abort', stop);
      });
      signal.throwIfAborted();
    }
    this.#rung = false;
  }
}
