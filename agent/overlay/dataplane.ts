/**
 * What the kernel has of ours, known without asking each time: read once, then kept up by what was done and
 * by notifications. So a pass at thousands of peers costs what changed, and a lost entry is back without a dump.
 *
 * A mirror that may be wrong (notifications lost, a link that went down and took routes with it unsaid, a request
 * that failed unexpectedly) is invalid, and read anew by the next pass.
 */
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { atOnce, type Steps } from '../../kernel/steps.ts';
import { inSlices } from '../slices.ts';
import { type ActualScope, entriesOf, readTables, type Tables } from './actual.ts';
import { type Entry, sameEntry } from './entry.ts';
import type { Known } from './found.ts';
import type { Sighting } from './sighting.ts';

export class Mirror {
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
  #meanwhile: Sighting[] | undefined;

  /** `own`: nobody else uses the socket, so that it can be read from in slices. */
  constructor(rtnl: Rtnl, own: boolean) {
    this.#rtnl = rtnl;
    this.#own = own;
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** What it shows may be wrong: the next `ensureRead` reads. */
  invalidate(): void {
    this.#valid = false;
    this.#invalidated++;
  }

  /** Reads the kernel's tables if they are not known. Answers whether it read. */
  async ensureRead(scope: ActualScope, known: Known): Promise<boolean> {
    if (this.#valid && this.#deviceIndex === scope.deviceIndex) return false;
    const invalidated = this.#invalidated;
    const meanwhile: Sighting[] = [];
    this.#meanwhile = meanwhile;
    try {
      const steps = this.#read(scope, known);
      await (this.#own ? inSlices(steps) : atOnce(steps));
    } finally {
      this.#meanwhile = undefined;
    }
    this.#deviceIndex = scope.deviceIndex;
    this.#valid = this.#invalidated === invalidated;
    for (const sighting of meanwhile) this.observe(sighting);
    return true;
  }

  /** The entries stay the same object where they are as they were. */
  *#read(scope: ActualScope, known: Known): Steps<void> {
    const last = this.#tables;
    const tables = yield* readTables(this.#rtnl, scope, { known, last });
    const same = tables.size === last.size && [...tables].every(([name, found]) => found === last.get(name));
    if (!same || this.#changed) this.#entries = yield* entriesOf(tables);
    this.#tables = tables;
    this.#changed = false;
  }

  /** Our own request was carried out: no need to wait for its notification. */
  applied({ id, entry, verb }: { id: string; entry: Entry; verb: 'add' | 'change' | 'remove' }): void {
    if (verb === 'remove') this.forget(id);
    else this.#set(id, entry);
  }

  /** What is known of one entry may be wrong. */
  forget(id: string): void {
    if (this.#entries.delete(id)) this.#changed = true;
  }

  /** A notification: the kernel's order is the order of the calls. */
  observe(sighting: Sighting): void {
    this.#meanwhile?.push(sighting);
    const { id, entry, what } = sighting;
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
