/** Wakes one waiter before its time. A ring while nobody waits is kept for the next. */
import type { Clock } from './clock.ts';

export class Bell {
  #rung = false;
  #waiting: AbortController | undefined;

  ring(): void {
    this.#rung = true;
    this.#waiting?.abort();
  }

  /** Resolves after `ms` or at a ring; rejects with the signal's reason when that fires. */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung && ms > 0) {
      const waiting = new AbortController();
      const stop = (): void => waiting.abort();
      this.#waiting = waiting;
      signal.addEventListener('abort', stop);
      try {
        await clock.sleep(ms, waiting.signal);
      } catch (error) {
        if (!waiting.signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', stop);
        this.#waiting = undefined;
      }
      signal.throwIfAborted();
    }
    this.#rung = false;
  }
}
