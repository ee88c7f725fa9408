/**
 * How large a packet may be that reaches a peer through the tunnel. A path that is narrower than this node's own
 * link says so to nobody (a switch drops the frame, a firewall the ICMP message), and what pods send is lost or cut
 * in pieces: so each peer is now and then sent a probe of full size that may not be cut.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** Sends one probe of that size (of the inner IP packet); whether it was answered. */
export type AskSize = (key: string, sizeBytes: number) => Promise<boolean>;

export interface PathMtuOptions {
  readonly ask: AskSize;
  /** Only those are asked that answer small probes: of the others nothing can be learned. */
  readonly answers: (key: string) => boolean;
  /** Every peer is asked at most once in so long; a narrow path may have become wide. */
  readonly roundMs: () => number;
  /** A path became narrow (bytes), or wide enough again (undefined). */
  readonly onChange: (key: string, sizeBytes: number | undefined) => void;
  readonly signal: AbortSignal;
}

/** What is asked for in vain must be asked for so often: a lost packet is no narrow path. */
const ATTEMPTS = 3;
/** One peer in so long. */
const PACE_MS = 500;

/**
 * The largest size that is answered, between `least` and `full`, both included; undefined where not even
 * `least` is. Asks for `full` first, for that is what nearly every path takes, and then for what was found before.
 */
export async function searchPathMtu(search: {
  readonly least: number;
  readonly full: number;
  readonly before: number | undefined;
  readonly ask: (sizeBytes: number) => Promise<boolean>;
}): Promise<number | undefined> {
  const { least, full, before } = search;
  const answered = async (size: number): Promise<boolean> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) if (await search.ask(size)) return true;
    return false;
  };
  // Once the path is known to be narrow, what is found too small by bad luck is found out in the next round.
  const answeredSoon = (size: number): Promise<boolean> =>
    anyOf(Array.from({ length: ATTEMPTS }, () => search.ask(size)));
  if (await answered(full)) return full;
  let [good, bad] = [least, full];
  if (before !== undefined && (await answered(before))) {
    if (!(await answered(before + 1))) return before;
    good = before + 1;
  } else if (!(await answered(least))) {
    return undefined;
  }
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await answeredSoon(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** True as soon as one of them is, false once none is. */
const anyOf = (answers: readonly Promise<boolean>[]): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const settle = (yes: boolean): void => {
      if (yes) resolve(true);
    };
    for (const answer of answers) answer.then(settle, reject);
    Promise.all(answers).then(() => resolve(false), reject);
  });

export interface PathMtuScope {
  readonly keys: readonly string[];
  /** What pods' packets may have. */
  readonly full: number;
  /** What the family promises. */
  readonly least: number;
}

export class PathMtu {
  readonly #options: PathMtuOptions;
  readonly #narrow = new Map<string, number>();
  readonly #askedMs = new Map<string, number>();
  #scope: PathMtuScope = { keys: [], full: 0, least: 0 };
  #running: Promise<void> | undefined;

  constructor(options: PathMtuOptions) {
    this.#options = options;
  }

  /** Largest sizes by key, of the peers whose path is narrow. */
  get narrow(): ReadonlyMap<string, number> {
    return this.#narrow;
  }

  /** Whom to ask from now on. What is known of those that stay is kept, unless the full size is another. */
  follow(scope: PathMtuScope): void {
    const keys = new Set(scope.keys);
    const other = scope.full !== this.#scope.full;
    this.#scope = scope;
    for (const map of [this.#narrow, this.#askedMs]) {
      for (const key of map.keys()) if (other || !keys.has(key)) map.delete(key);
    }
    if (scope.keys.length) this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** The next time its turn is now: it has just begun to answer, or changed. */
  suspect(key: string): void {
    this.#askedMs.delete(key);
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted && this.#scope.keys.length) {
      try {
        await delay(PACE_MS, undefined, { signal });
      } catch {
        return;
      }
      const key = this.#due();
      if (key !== undefined) await this.#examine(key);
    }
  }

  #due(): string | undefined {
    const now = performance.now();
    const roundMs = this.#options.roundMs();
    let longest: { key: string; askedMs: number } | undefined;
    for (const key of this.#scope.keys) {
      const askedMs = this.#askedMs.get(key) ?? Number.NEGATIVE_INFINITY;
      if (askedMs + roundMs > now || !this.#options.answers(key)) continue;
      if (!longest || askedMs < longest.askedMs) longest = { key, askedMs };
    }
    return longest?.key;
  }

  async #examine(key: string): Promise<void> {
    const scope = this.#scope;
    this.#askedMs.set(key, performance.now());
    const before = this.#narrow.get(key);
    const found = await searchPathMtu({ ...scope, before, ask: (size) => this.#options.ask(key, size) });
    // A peer that fell silent meanwhile, or that answers no probe of this kind, tells nothing of sizes.
    if (found === undefined || scope.full !== this.#scope.full || this.#options.signal.aborted) return;
    const size = found === scope.full ? undefined : found;
    if (before === size || !this.#scope.keys.includes(key)) return;
    if (size === undefined) this.#narrow.delete(key);
    else this.#narrow.set(key, size);
    this.#options.onChange(key, size);
  }
}
