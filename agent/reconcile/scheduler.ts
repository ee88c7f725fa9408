/**
 * When passes run: at once when something happened, one pass for all that happened in the meantime, at most once per
 * gap; again when a retry is due; and once per period, for changes of which the kernel sends no notification.
 */
export interface SchedulerOptions {
  /** One pass; resolves to when the next is due, in milliseconds (undefined: when something happens). */
  readonly pass: (reasons: readonly string[]) => Promise<number | undefined>;
  /** Runs at the latest this long after the one before. */
  readonly periodMs: number;
  /** Runs at the earliest this long after the one before; longer after one that took long. */
  readonly gapMs: number;
  /** A pass that threw; it is retried after `gapMs`, then ever more slowly. */
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const LONGEST_RETRY_MS = 10_000;
/** Passes may use a third of the time in a storm of events, but a lost entry waits no longer than this. */
const LONGEST_GAP_MS = 100;

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #reasons = new Set<string>();
  #cancel: () => void = () => undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #notBeforeMs = 0;
  /** When the next pass is due if nothing happens before. */
  #nextInMs = 0;
  #failures = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#cancel(), { once: true });
  }

  /** Something happened: a pass is due. Cheap; may be called a thousand times a second. */
  trigger(reason: string): void {
    this.#reasons.add(reason);
    this.#arm(0);
  }

  /** Resolves when no pass is running. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #arm(inMs: number): void {
    if (this.#options.signal.aborted || this.#running) return;
    const now = performance.now();
    const dueAtMs = Math.max(now + inMs, this.#notBeforeMs);
    if (dueAtMs >= this.#dueAtMs) return;
    this.#dueAtMs = dueAtMs;
    this.#cancel();
    this.#cancel = soon(dueAtMs - now, () => this.#start());
  }

  #start(): void {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    const begunMs = performance.now();
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      const now = performance.now();
      const gapMs = Math.max(this.#options.gapMs, Math.min(2 * (now - begunMs), LONGEST_GAP_MS));
      this.#notBeforeMs = now + gapMs;
      this.#arm(this.#reasons.size ? 0 : this.#nextInMs);
    });
  }

  async #run(): Promise<void> {
    const reasons = this.#reasons.size ? [...this.#reasons] : ['period'];
    this.#reasons.clear();
    try {
      const wantsInMs = await this.#options.pass(reasons);
      this.#failures = 0;
      this.#nextInMs = Math.min(wantsInMs ?? Number.POSITIVE_INFINITY, this.#options.periodMs);
    } catch (error) {
      this.#failures++;
      this.#nextInMs = Math.min(this.#options.gapMs * 2 ** this.#failures, LONGEST_RETRY_MS);
      this.#options.onError(error);
    }
  }
}

/** Calls `run` once, after `ms` milliseconds. Returns a function that cancels. A timer takes at least 1 ms. */
function soon(ms: number, run: () => void): () => void {
  if (ms <= 0) {
    const turn = setImmediate(run);
    return () => clearImmediate(turn);
  }
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
