/** Wakes a loop: rung while the loop is busy, it wakes it at once when it comes to wait. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves when it is rung, at `untilMs` (milliseconds since the epoch) at the latest, or when the signal fires. */
  async wait(untilMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = untilMs === undefined ? undefined : setTimeout(done, Math.max(0, untilMs - Date.now()));
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
