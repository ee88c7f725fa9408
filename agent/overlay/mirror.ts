/**
 * What the kernel has of ours, known without asking each time: read once, then kept up by what was done and
 * by notifications. So a pass at thousands of peers costs a comparison, and a lost entry is back without a dump.
 *
 * A mirror that may be wrong (notifications lost, a link that went down and took routes with it unsaid, a request
 * that failed unexpectedly) is invalid, and read anew by the next pass.
 */
import type { Cidr } from '../../inet/cidr.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { actualEntries } from './actual.ts';
import { type Entry, sameEntry } from './entry.ts';
import type { Sighting } from './sighting.ts';

export class Mirror {
  #entries = new Map<string, Entry>();
  #deviceIndex: number | undefined;
  #valid = false;

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  get valid(): boolean {
    return this.#valid;
  }

  /** What it shows may be wrong: the next `ensureRead` reads. */
  invalidate(): void {
    this.#valid = false;
  }

  /** Reads the kernel's tables if they are not known. Answers whether it read. */
  ensureRead(rtnl: Rtnl, scope: { network: Cidr; deviceIndex: number | undefined }): boolean {
    if (this.#valid && this.#deviceIndex === scope.deviceIndex) return false;
    this.#entries = actualEntries(rtnl, scope);
    this.#deviceIndex = scope.deviceIndex;
    this.#valid = true;
    return true;
  }

  /** Our own request was carried out: no need to wait for its notification. */
  applied({ id, entry, verb }: { id: string; entry: Entry; verb: 'add' | 'change' | 'remove' }): void {
    if (verb === 'remove') this.#entries.delete(id);
    else this.#entries.set(id, entry);
  }

  /** A notification: the kernel's order is the order of the calls. */
  observe(id: string, sighting: Sighting): void {
    if (sighting.what === 'there') {
      // The object that is desired stays in place, so that plans compare by identity.
      const known = this.#entries.get(id);
      if (!known || !sameEntry(known, sighting.entry)) this.#entries.set(id, sighting.entry);
    } else if (sighting.what !== 'foreign gone') {
      this.#entries.delete(id);
    }
  }
}
