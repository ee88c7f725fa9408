/**
 * What keeps entries from being as desired: the kernel that refuses them, somebody else who undoes them. It says who
 * must wait, for how long, and what to tell people.
 */
import { formatCidr } from '../../inet/cidr.ts';
import type { KernelError } from '../../kernel/errors.ts';
import { Backoff } from './backoff.ts';
import { Contention } from './contention.ts';
import { describeEntry, type Entry, type LinkNames, sameEntry } from './entry.ts';
import type { Step } from './plan.ts';
import { earliest } from './reconciler.ts';

/** So many are told one by one. */
const TOLD = 20;

interface Refusal {
  readonly refusal: KernelError;
  readonly entry: Entry;
  /** Who may be in the way. */
  readonly who: string;
}

export class Grievances {
  readonly #backoff = new Backoff();
  readonly #contention = new Contention();
  /** Who was last seen to change an entry that is desired, by its id. */
  readonly #seen = new Map<string, string>();
  /** What somebody undid, and was not put back yet. */
  readonly #undone = new Set<string>();
  /** Of what failed and is not due yet, by entry id. */
  readonly #refusals = new Map<string, Refusal>();

  /** Somebody was seen to change an entry that is desired. */
  seen(id: string, who: string): void {
    this.#seen.set(id, who);
  }

  /**
   * A desired entry does not stand. `before`: what was desired before, where the kernel's state was known all along:
   * what stood then was undone by somebody.
   */
  missed({ id, entry }: Step, before: ReadonlyMap<string, Entry> | undefined): void {
    const was = before?.get(id);
    const stood = was && sameEntry(was, entry) && !this.#refusals.has(id) && !this.#undone.has(id);
    if (!stood) return;
    this.#contention.undone(id, entry, this.#seen.get(id));
    this.#undone.add(id);
  }

  refused({ id, entry }: Step, refusal: KernelError): void {
    this.#backoff.failed(id);
    this.#refusals.set(id, { refusal, entry, who: this.#seen.get(id) ?? 'another program' });
  }

  isRefused(id: string): boolean {
    return this.#refusals.has(id);
  }

  isDue(id: string): boolean {
    return this.#backoff.isDue(id) && this.#contention.isDue(id);
  }

  isFoughtOver(id: string): boolean {
    return this.#contention.isFoughtOver(id);
  }

  /** The entry stands, or may be tried at once. */
  settled(id: string): void {
    this.#backoff.settled(id);
    this.#refusals.delete(id);
    this.#undone.delete(id);
  }

  /** Forgets what is no longer desired. */
  keepOnly(desired: ReadonlyMap<string, Entry>): void {
    this.#backoff.keepOnly(desired);
    this.#contention.keepOnly(desired);
    for (const known of [this.#refusals, this.#undone, this.#seen]) {
      for (const id of known.keys()) if (!desired.has(id)) known.delete(id);
    }
  }

  /** In words. */
  problems(names: LinkNames): string[] {
    const refusals = [...this.#refusals.values()];
    const told = refusals.slice(0, TOLD).map((refusal) => describeRefusal(refusal, names));
    const more = refusals.length - told.length;
    return [
      ...told,
      ...(more ? [`${more} more entries cannot be set`] : []),
      ...this.#contention.problems(names),
    ];
  }

  /** Milliseconds until the earliest may be tried again; undefined where none waits. */
  nextInMs(): number | undefined {
    return earliest([this.#backoff.nextInMs(), this.#contention.nextInMs()]);
  }
}

function describeRefusal({ refusal: { code, detail }, entry, who }: Refusal, names: LinkNames): string {
  const text = `${describeEntry(entry, names)} cannot be set`;
  if (entry.kind !== 'route' || code !== 'EEXIST') return `${text}: ${code}${detail ? ` (${detail})` : ''}`;
  const destination = formatCidr(entry.destination);
  return `${text}: ${who} has a route to ${destination}; remove it (ip route del ${destination}), or give that node another subnet`;
}
