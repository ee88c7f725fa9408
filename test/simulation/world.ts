/** Time and chance of a simulated cluster: one queue of events, one seeded source of chance. */

export class World {
  /** Milliseconds of the world's own time, which no node sees. */
  now = 0;
  readonly random: () => number;
  readonly #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + Math.max(ms, 0), order: this.#order++, run };
    const queue = this.#queue;
    let index = queue.length;
    queue.push(event);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = queue[above];
      if (!parent || before(parent, event)) break;
      queue[index] = parent;
      index = above;
    }
    queue[index] = event;
  }

  /** Runs what is due until that time, and after each event everything that follows from it at once. */
  runUntil(endMs: number): Promise<void> {
    return new Promise((resolve) => {
      // All promises that can go on do so before a tick that is asked for by one of their reactions. Nothing here
      // waits for the event loop: a turn of it would take longer than most events do.
      const whenSettled = (): void => process.nextTick(step);
      const step = (): void => {
        const next = this.#queue[0];
        if (!next || next.at > endMs) {
          this.now = endMs;
          resolve();
          return;
        }
        this.#pop();
        this.now = next.at;
        next.run();
        queueMicrotask(whenSettled);
      };
      step();
    });
  }

  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(values: readonly T[]): T | undefined {
    return values[Math.floor(this.random() * values.length)];
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop();
    if (!last || queue.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let child = queue[below];
      if (!child) break;
      const right = queue[below + 1];
      if (right && before(right, child)) {
        below++;
        child = right;
      }
      if (before(last, child)) break;
      queue[index] = child;
      index = below;
    }
    queue[index] = last;
  }
}

const before = (a: { at: number; order: number }, b: { at: number; order: number }): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

/** A small generator of chance with 32 bits of state (public domain, Tommy Ettinger). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
