/**
 * What the kernel has of ours, known without asking each time: read once, then kept up by what was done and
 * by notifications. So a pass at thousands of peers costs what changed, and a lost entry is back without a dump.
 *
 * A mirror that may be wrong (notifications lost, a link that went down and took routes with it unsaid, a request
 * that failed unexpectedly) is invalid, and read anew by the next pass.
 */
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { atOnce } from '../../kernel/steps.ts';
import { inSlices } from '../slices.ts';
import { type ActualScope, actualEntries } from './actual.ts';
import { type Entry, sameEntry } from './entry.ts';
import type { Known } from './found.ts';
import type { Sighting } from './sighting.ts';

export class Mirror {
  readonly #rtnl: Rtnl;
  readonly #own: boolean;
  #entries = new Map<string, Entry>();
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
      const steps = actualEntries(this.#rtnl, scope, known);
      this.#entries = this.#own ? await inSlices(steps) : atOnce(steps);
    } finally {
      this.#meanwhile = undefined;
    }
    this.#deviceIndex = scope.deviceIndex;
    this.#valid = this.#invalidated === invalidated;
    for (const sighting of meanwhile) this.observe(sighting);
    return true;
  }

  /** Our own request was carried out: no need to wait for its notification. */
  applied({ id, entry, verb }: { id: string; entry: Entry; verb: 'add' | 'change' | 'remove' }): void {
    if (verb === 'remove') this.#entries.delete(id);
    else this.#entries.set(id, entry);
  }

  /** What is known of one entry may be wrong. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** A notification: the kernel's order is the order of the calls. */
  observe(sighting: Sighting): void {
    this.#meanwhile?.push(sighting);
    const { id, entry, what } = sighting;
    if (what === 'there') {
      // The object that is desired stays in place, so that comparing is cheap.
      const known = this.#entries.get(id);
      if (!known || !sameEntry(known, entry)) this.#entries.set(id, entry);
    } else if (what !== 'foreign gone') {
      this.#entries.delete(id);
    }
  }
}
