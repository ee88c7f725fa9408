/** Problems of records, bounded: a store with thousands of bad keys must not fill the log and /readyz. */
import { printable } from '../../../problem/printable.ts';
import type { PeerProblem } from '../lease.ts';

/** So many of one kind are told one by one. */
const toldOfEach = 16;

interface Kind {
  /** The first that was told stands for the others' place. */
  readonly first: string;
  count: number;
}

export class Problems {
  readonly #told: PeerProblem[] = [];
  readonly #kinds = new Map<string, Kind>();

  /** `kind` completes "17 more keys: …" and says what to do; `reason` is made for those that are told only. */
  add(problem: { key: string; kind: string; reason: () => string }): void {
    const { key, kind, reason } = problem;
    const known = this.#kinds.get(kind) ?? { first: key, count: 0 };
    this.#kinds.set(kind, known);
    if (++known.count <= toldOfEach) this.#told.push({ key: printable(key), reason: reason() });
  }

  get list(): readonly PeerProblem[] {
    const more = [...this.#kinds]
      .filter(([, { count }]) => count > toldOfEach)
      .map(([kind, { first, count }]) => ({
        key: placeOf(first),
        reason: `${count - toldOfEach} more keys: ${kind}`,
      }));
    return [...this.#told, ...more];
  }
}

/** `subnets/` of `subnets/10.244.1.0-24`, `Node` of `Node node-1`. */
const placeOf = (key: string): string =>
  printable(key.includes('/') ? key.slice(0, key.lastIndexOf('/') + 1) : (key.split(' ')[0] ?? ''));
