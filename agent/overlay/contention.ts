/**
 * Somebody else who works on the same entries. What is lost once or twice is put back at once; what is undone
 * again and again is put back ever more slowly, and reported with who was seen to do it.
 */
import { describeEntry, type Entry, type LinkNames } from './entry.ts';

/** So many repairs of one entry are free, and as many again after a while. */
const FREE_REPAIRS = 10;
const ONE_MORE_AFTER_MS = 2_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 60_000;
/** An entry that has stood for so long after its last repair is not fought over any more. */
const CALM_MS = 2 * LONGEST_WAIT_MS;

interface Quarrel {
  readonly entry: Entry;
  free: number;
  waitMs: number;
  lastMs: number;
  by: string | undefined;
}

export class Contention {
  readonly #quarrels = new Map<string, Quarrel>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An entry that stood as desired was undone; `by` names who did, where that was seen. */
  undone(id: string, entry: Entry, by: string | undefined): void {
    const now = this.#now();
    const known = this.#quarrels.get(id);
    const quarrel: Quarrel =
      known && now - known.lastMs < CALM_MS
        ? known
        : { entry, free: FREE_REPAIRS, waitMs: 0, lastMs: now, by: undefined };
    // What counts is how long the entry stood, not how long we waited before putting it back.
    const stoodMs = Math.max(0, now - quarrel.lastMs - quarrel.waitMs);
    const regained = Math.floor(stoodMs / ONE_MORE_AFTER_MS);
    quarrel.free = Math.min(quarrel.free + regained, FREE_REPAIRS) - 1;
    if (quarrel.free < 0) {
      quarrel.free = 0;
      quarrel.waitMs = Math.min(Math.max(quarrel.waitMs * 2, FIRST_WAIT_MS), LONGEST_WAIT_MS);
    } else {
      quarrel.waitMs = 0;
    }
    quarrel.lastMs = now;
    quarrel.by ??= by;
    this.#quarrels.set(id, quarrel);
  }

  /** Whether the entry may be put back now. */
  isDue(id: string): boolean {
    const quarrel = this.#quarrels.get(id);
    return !quarrel || quarrel.lastMs + quarrel.waitMs <= this.#now();
  }

  isFoughtOver(id: string): boolean {
    return (this.#quarrels.get(id)?.waitMs ?? 0) > 0;
  }

  /** Forgets what is no longer wanted. */
  keepOnly(wanted: { has(id: string): boolean }): void {
    for (const id of this.#quarrels.keys()) if (!wanted.has(id)) this.#quarrels.delete(id);
  }

  /** Milliseconds until the earliest that waits is due; undefined where none waits. */
  nextInMs(): number | undefined {
    const now = this.#now();
    const waits = [...this.#quarrels.values()].map(({ lastMs, waitMs }) => lastMs + waitMs - now);
    const ahead = waits.filter((wait) => wait > 0);
    return ahead.length ? Math.min(...ahead) : undefined;
  }

  /** What is fought over, in words that stay the same for as long as it is. Forgets what has calmed down. */
  problems(names: LinkNames): string[] {
    const now = this.#now();
    const texts: string[] = [];
    for (const [id, { entry, waitMs, lastMs, by }] of this.#quarrels) {
      if (now - lastMs > CALM_MS) this.#quarrels.delete(id);
      else if (waitMs > 0) {
        const who = by ?? 'another program';
        texts.push(
          `${describeEntry(entry, names)} is undone again and again by ${who}: tell it to leave weft's entries alone`,
        );
      }
    }
    return texts;
  }
}
