/**
 * The entries that may differ from the desired ones: those that differed at the last full comparison, and those that
 * were notified since. So a pass reads only what has changed, not thousands of unchanged entries.
 */
import type { Steps } from '../../kernel/steps.ts';
import type { Dataplane } from './dataplane.ts';
import type { Desired } from './desired.ts';
import { type Entry, sameEntry } from './entry.ts';
import { removalsLast, type Step, stepFor } from './plan.ts';

/** Entries between two places where others may have their turn. */
const SOME = 128;

export class Pending {
  readonly #dataplane: Dataplane;
  /** Ids of all entries that may not be as desired. */
  readonly #open = new Set<string>();
  /** What everything was last compared with, and what that was. */
  #compared: { readonly desired: Desired; readonly dataplane: ReadonlyMap<string, Entry> } | undefined;
  /** Ids of the desired forwarding entries by MAC; made at first use. */
  #forwarding: ReadonlyMap<string, string> | undefined;

  constructor(dataplane: Dataplane) {
    this.#dataplane = dataplane;
  }

  /** Whether everything was compared with this, and all changes since then were notified. */
  isOf(desired: Desired): boolean {
    return this.#compared?.desired === desired && this.#compared.dataplane === this.#dataplane.entries;
  }

  /** Finds all that differs. */
  *compare(desired: Desired): Steps<void> {
    const { entries } = desired;
    const dataplane = this.#dataplane.entries;
    let count = 0;
    let found = 0;
    for (const [id, entry] of entries) {
      const over = dataplane.get(id);
      if (over) found++;
      if (over !== entry && !(over && sameEntry(entry, over))) this.#open.add(id);
      if (++count % SOME === 0) yield;
    }
    if (dataplane.size > found) {
      for (const id of dataplane.keys()) {
        if (!entries.has(id)) this.#open.add(id);
        if (++count % SOME === 0) yield;
      }
    }
    this.#compared = { desired, dataplane };
    this.#forwarding = undefined;
  }

  /** An entry that was notified. */
  add(id: string): void {
    this.#open.add(id);
  }

  /** An entry that is now as desired: present, or removed. */
  settled(id: string): void {
    this.#open.delete(id);
  }

  /** An entry of another destination may have replaced this one; the kernel does not notify that (NLM_F_REPLACE). */
  doubtForwarding(mac: string, desired: ReadonlyMap<string, Entry>): void {
    this.#forwarding ??= new Map(
      [...desired].flatMap(([id, entry]) => (entry.kind === 'fdb' ? [[entry.mac, id] as const] : [])),
    );
    const id = this.#forwarding.get(mac);
    if (id === undefined) return;
    this.#dataplane.forget(id);
    this.#open.add(id);
  }

  /** What has to be done, in an order in which it can be done. */
  steps(desired: ReadonlyMap<string, Entry>): Generator<Step> {
    return removalsLast(this.#each(desired));
  }

  *#each(desired: ReadonlyMap<string, Entry>): Generator<Step> {
    for (const id of routesLast(this.#open)) {
      const step = stepFor(id, desired, this.#dataplane.entries);
      if (step) yield step;
      else this.#open.delete(id);
    }
  }
}

/** Notified entries may come in any order; compared ones come in the order of the desired entries. */
function routesLast(ids: ReadonlySet<string>): readonly string[] {
  const all = [...ids];
  const isRoute = (id: string) => id.startsWith('r');
  return all.length > SOME ? all : [...all.filter((id) => !isRoute(id)), ...all.filter(isRoute)];
}
