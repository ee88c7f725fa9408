/**
 * Which items wait before they are tried again, and why: the kernel refused them, or another program keeps removing
 * them. One row per item, so that one item neither fills the log nor delays another.
 */

/** After a refusal: doubles with each one. */
const FIRST_RETRY_MS = 100;
const LONGEST_WAIT_MS = 60_000;
/** Repairs of one item without a wait; one more is granted for each period that the item stood. */
const FREE_REPAIRS = 10;
const REPAIR_REGAINED_MS = 2_000;
const FIRST_CONTENTION_MS = 200;
/** An item that stood for this long after its last repair is not contended any more. */
const CALM_MS = 2 * LONGEST_WAIT_MS;

export interface Failure<Item> {
  readonly item: Item;
  readonly error: unknown;
  /** Who was last seen to change the item. */
  readonly by?: string | undefined;
}

export interface Contention<Item> {
  readonly item: Item;
  readonly by: string | undefined;
}

interface Contended<Item> {
  readonly item: Item;
  free: number;
  waitMs: number;
  lastMs: number;
  by: string | undefined;
}

interface Row<Item> {
  failure?: Failure<Item> & { readonly delayMs: number; readonly dueAtMs: number };
  contended?: Contended<Item>;
  /** Who was last seen to change the item. */
  seenBy?: string;
  /** Removed by another program, and not repaired yet. */
  removed?: boolean;
}

export class RetryTable<Item> {
  readonly #rows = new Map<string, Row<Item>>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Another program was seen to change the item. */
  seen(id: string, by: string): void {
    this.#row(id).seenBy = by;
  }

  /** The item was refused: it waits twice as long as the time before. */
  failed(id: string, { item, error }: Pick<Failure<Item>, 'item' | 'error'>): void {
    const row = this.#row(id);
    const delayMs = Math.min((row.failure?.delayMs ?? FIRST_RETRY_MS / 2) * 2, LONGEST_WAIT_MS);
    row.failure = { item, error, by: row.seenBy, delayMs, dueAtMs: this.#now() + delayMs };
  }

  /**
   * An item that stood as desired was removed or changed. What is lost a few times is repaired at once; what is removed
   * again and again is repaired ever more slowly. Counted once until `settled`, and not where the item was refused.
   */
  removed(id: string, item: Item): void {
    const row = this.#row(id);
    if (row.failure || row.removed) return;
    row.removed = true;
    const now = this.#now();
    const known = row.contended;
    const contended: Contended<Item> =
      known && now - known.lastMs < CALM_MS
        ? known
        : { item, free: FREE_REPAIRS, waitMs: 0, lastMs: now, by: undefined };
    // Counted is how long the item stood, not how long the repair waited.
    const stoodMs = Math.max(0, now - contended.lastMs - contended.waitMs);
    contended.free = Math.min(contended.free + Math.floor(stoodMs / REPAIR_REGAINED_MS), FREE_REPAIRS) - 1;
    if (contended.free < 0) {
      contended.free = 0;
      contended.waitMs = Math.min(Math.max(contended.waitMs * 2, FIRST_CONTENTION_MS), LONGEST_WAIT_MS);
    } else {
      contended.waitMs = 0;
    }
    contended.lastMs = now;
    contended.by ??= row.seenBy;
    row.contended = contended;
  }

  /** The item stands, or may be tried at once. */
  settled(id: string): void {
    const row = this.#rows.get(id);
    if (!row) return;
    delete row.failure;
    delete row.removed;
    if (!row.contended && row.seenBy === undefined) this.#rows.delete(id);
  }

  isFailed(id: string): boolean {
    return this.#rows.get(id)?.failure !== undefined;
  }

  /** Whether another program keeps removing the item, so that repairs wait. */
  isContended(id: string): boolean {
    return (this.#rows.get(id)?.contended?.waitMs ?? 0) > 0;
  }

  isDue(id: string): boolean {
    const row = this.#rows.get(id);
    return !row || dueAtMs(row) <= this.#now();
  }

  /** Milliseconds until the item is due; undefined where it has not failed. */
  waitOf(id: string): number | undefined {
    const row = this.#rows.get(id);
    return row?.failure && Math.max(0, dueAtMs(row) - this.#now());
  }

  /** Milliseconds until the earliest is due; undefined where none waits. */
  nextInMs(): number | undefined {
    const now = this.#now();
    let next: number | undefined;
    for (const { failure, contended } of this.#rows.values()) {
      const waits = [failure && Math.max(0, failure.dueAtMs - now), contended && remainingMs(contended, now)];
      for (const wait of waits) if (wait !== undefined) next = Math.min(next ?? wait, wait);
    }
    return next;
  }

  /** Forgets what is not desired any more. */
  keepOnly(desired: { has(id: string): boolean }): void {
    for (const id of this.#rows.keys()) if (!desired.has(id)) this.#rows.delete(id);
  }

  /** What was refused. */
  get failures(): Failure<Item>[] {
    return [...this.#rows.values()].flatMap(({ failure }) => failure ?? []);
  }

  /** What another program keeps removing. Forgets what has calmed down. */
  get contended(): Contention<Item>[] {
    const now = this.#now();
    const found: Contention<Item>[] = [];
    for (const row of this.#rows.values()) {
      if (!row.contended) continue;
      if (now - row.contended.lastMs > CALM_MS) delete row.contended;
      else if (row.contended.waitMs > 0) found.push(row.contended);
    }
    return found;
  }

  #row(id: string): Row<Item> {
    const known = this.#rows.get(id);
    if (known) return known;
    const made: Row<Item> = {};
    this.#rows.set(id, made);
    return made;
  }
}

const dueAtMs = ({ failure, contended }: Row<unknown>): number =>
  Math.max(failure?.dueAtMs ?? 0, contended ? contended.lastMs + contended.waitMs : 0);

function remainingMs({ lastMs, waitMs }: Contended<unknown>, now: number): number | undefined {
  const remaining = lastMs + waitMs - now;
  return remaining > 0 ? remaining : undefined;
}
