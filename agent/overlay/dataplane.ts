/**
 * A cache of weft's entries in the kernel: read once, then updated by weft's own changes and by notifications. So the
 * cost of a pass depends on what changed, not on the number of peers, and a lost entry is repaired without a dump.
 *
 * The cache is invalid when it may be wrong (lost notifications, routes that vanished with a link without a
 * notification, a request that failed unexpectedly). The next pass then reads the tables again.
 */
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { atOnce, type Steps } from '../../kernel/steps.ts';
import { inSlices } from '../slices.ts';
import { type Entry, sameEntry } from './entry.ts';
import type { Known } from './kernel-entry.ts';
import type { NotifiedEntry } from './notified-entry.ts';
import { type DataplaneScope, entriesOf, readTables, type Tables } from './read-dataplane.ts';

export class Dataplane {
  readonly #rtnl: Rtnl;
  readonly #own: boolean;
  #entries = new Map<string, Entry>();
  /** As last read, and whether the entries have changed since. */
  #tables: Tables = new Map();
  #changed = false;
  #deviceIndex: number | undefined;
  #valid = false;
  #invalidated = 0;
  /** What was notified while the tables are being read: they may be older than that. */
  #meanwhile: NotifiedEntry[] | undefined;

  /** `own`: the socket is used for this alone, so that it can be read in slices. */
  constructor(rtnl: Rtnl, own: boolean) {
    this.#rtnl = rtnl;
    this.#own = own;
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** The cache may be wrong: the next `ensureRead` reads the kernel's tables. */
  invalidate(): void {
    this.#valid = false;
    this.#invalidated++;
  }

  /** Reads the kernel's tables if the cache is invalid. Returns whether it read. */
  async ensureRead(scope: DataplaneScope, known: Known): Promise<boolean> {
    if (this.#valid && this.#deviceIndex === scope.deviceIndex) return false;
    const invalidated = this.#invalidated;
    const meanwhile: NotifiedEntry[] = [];
    this.#meanwhile = meanwhile;
    try {
      const steps = this.#read(scope, known);
      await (this.#own ? inSlices(steps) : atOnce(steps));
    } finally {
      this.#meanwhile = undefined;
    }
    this.#deviceIndex = scope.deviceIndex;
    this.#valid = this.#invalidated === invalidated;
    for (const notified of meanwhile) this.observe(notified);
    return true;
  }

  /** `entries` stays the same object if nothing changed. */
  *#read(scope: DataplaneScope, known: Known): Steps<void> {
    const last = this.#tables;
    const tables = yield* readTables(this.#rtnl, scope, { known, last });
    const same = tables.size === last.size && [...tables].every(([name, found]) => found === last.get(name));
    if (!same || this.#changed) this.#entries = yield* entriesOf(tables);
    this.#tables = tables;
    this.#changed = false;
  }

  /** weft's own request succeeded: there is no need to wait for its notification. */
  applied({ id, entry, verb }: { id: string; entry: Entry; verb: 'add' | 'change' | 'remove' }): void {
    if (verb === 'remove') this.forget(id);
    else this.#set(id, entry);
  }

  /** The cached state of one entry may be wrong. */
  forget(id: string): void {
    if (this.#entries.delete(id)) this.#changed = true;
  }

  /** A notification: the kernel's order is the order of the calls. */
  observe(notified: NotifiedEntry): void {
    this.#meanwhile?.push(notified);
    const { id, entry, what } = notified;
    if (what === 'there') {
      // The object that is desired stays in place, so that comparing is cheap.
      const known = this.#entries.get(id);
      if (!known || !sameEntry(known, entry)) this.#set(id, entry);
    } else if (what !== 'foreign gone') {
      this.forget(id);
    }
  }

  #set(id: string, entry: Entry): void {
    this.#entries.set(id, entry);
    this.#changed = true;
  }
}
