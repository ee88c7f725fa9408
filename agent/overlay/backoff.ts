/** Which failed entries must wait, so that one bad peer neither fills the log nor holds up another. */
const FIRST_MS = 100;
const LONGEST_MS = 60_000;

export class Backoff {
  readonly #failed = new Map<string, { delayMs: number; dueAtMs: number }>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  failed(id: string): void {
    const delayMs = Math.min((this.#failed.get(id)?.delayMs ?? FIRST_MS / 2) * 2, LONGEST_MS);
    this.#failed.set(id, { delayMs, dueAtMs: this.#now() + delayMs });
  }

  settled(id: string): void {
    this.#failed.delete(id);
  }

  isDue(id: string): boolean {
    const entry = this.#failed.get(id);
    return !entry || entry.dueAtMs <= this.#now();
  }

  /** Forgets what is no longer wanted. */
  keepOnly(wanted: { has(id: string): boolean }): void {
    for (const id of this.#failed.keys()) if (!wanted.has(id)) this.#failed.delete(id);
  }

  /** Milliseconds until the earliest is due; undefined where nothing has failed. */
  nextInMs(): number | undefined {
    if (this.#failed.size === 0) return undefined;
    const earliest = Math.min(...[...this.#failed.values()].map(({ dueAtMs }) => dueAtMs));
    return Math.max(0, earliest - this.#now());
  }
}
