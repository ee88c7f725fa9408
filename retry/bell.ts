/** Wakes a loop before its time. A ring while the loop is busy wakes it as soon as it comes to wait. */
import type { Clock } from '../clock/clock.ts';

export class Bell {
  readonly #clock: Pick<Clock, 'after'>;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `ms` (undefined: never by itself), at a ring, or when the signal fires. One waiter at a time. */
  async wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted && !(ms !== undefined && ms <= 0)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#wake = undefined;
          cancel?.();
          signal.removeEventListener('abort', done);
          resolve();
        };
        const cancel = ms === undefined ? undefined : this.#clock.after(ms, done);
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
    this.#rung = false;
  }
}
