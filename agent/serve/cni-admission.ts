/**
 * Which call works when: at most so many at once, in the order of their arrival, and never two of one
 * attachment, so that a DEL that follows on an ADD whose caller gave up finds all of what that ADD made.
 */
interface Waiting {
  readonly key: string | undefined;
  readonly start: () => void;
}

export class Admission {
  readonly #limit: number;
  readonly #waiting = new Set<Waiting>();
  readonly #busyKeys = new Set<string>();
  #working = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get working(): number {
    return this.#working;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `work` when its turn has come.
   *
   * @throws the signal's reason if that aborts while the work still waits: it is then never begun.
   */
  async run<T>(task: { key: string | undefined; signal: AbortSignal; work: () => Promise<T> }): Promise<T> {
    task.signal.throwIfAborted();
    if (this.#waiting.size === 0 && this.#mayStart(task.key)) this.#begin(task.key);
    else await this.#turn(task.key, task.signal);
    try {
      return await task.work();
    } finally {
      this.#working--;
      if (task.key !== undefined) this.#busyKeys.delete(task.key);
      this.#startNext();
    }
  }

  #turn(key: string | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abandon = () => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
      };
      const start = () => {
        signal.removeEventListener('abort', abandon);
        resolve();
      };
      const waiting: Waiting = { key, start };
      signal.addEventListener('abort', abandon, { once: true });
      this.#waiting.add(waiting);
      this.#startNext();
    });
  }

  #startNext(): void {
    for (const waiting of this.#waiting) {
      if (this.#working >= this.#limit) return;
      if (!this.#mayStart(waiting.key)) continue;
      this.#waiting.delete(waiting);
      this.#begin(waiting.key);
      waiting.start();
    }
  }

  #mayStart(key: string | undefined): boolean {
    return this.#working < this.#limit && (key === undefined || !this.#busyKeys.has(key));
  }

  #begin(key: string | undefined): void {
    this.#working++;
    if (key !== undefined) this.#busyKeys.add(key);
  }
}
