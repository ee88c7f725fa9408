/**
 * Which entries may not be as desired: all that differ when everything was last compared, and after that what was
 * heard of. So a pass looks at what has changed and not at thousands of entries that have not.
 */
import type { Steps } from '../../kernel/steps.ts';
import type { Desired } from './desired.ts';
import { type Entry, sameEntry } from './entry.ts';
import type { Mirror } from './mirror.ts';
import { removalsLast, type Step, stepFor } from './plan.ts';

/** Entries between two places where others may have their turn. */
const SOME = 128;

export class Differences {
  readonly #mirror: Mirror;
  /** Ids of all entries that may not be as desired. */
  readonly #open = new Set<string>();
  /** What everything was last compared with, and what that was. */
  #compared: { readonly desired: Desired; readonly actual: ReadonlyMap<string, Entry> } | undefined;
  /** Ids of the desired forwarding entries by MAC, once somebody has asked. */
  #forwarding: ReadonlyMap<string, string> | undefined;

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
  }

  /** Whether everything has been compared with this, and all that changed since was heard of. */
  isOf(desired: Desired): boolean {
    return this.#compared?.desired === desired && this.#compared.actual === this.#mirror.entries;
  }

  /** Finds all that differs. */
  *compare(desired: Desired): Steps<void> {
    const { entries } = desired;
    const actual = this.#mirror.entries;
    let count = 0;
    let found = 0;
    for (const [id, entry] of entries) {
      const over = actual.get(id);
      if (over) found++;
      if (over !== entry && !(over && sameEntry(entry, over))) this.#open.add(id);
      if (++count % SOME === 0) yield;
    }
    if (actual.size > found) {
      for (const id of actual.keys()) {
        if (!entries.has(id)) this.#open.add(id);
        if (++count % SOME === 0) yield;
      }
    }
    this.#compared = { desired, actual };
    this.#forwarding = undefined;
  }

  /** An entry of which something was heard. */
  add(id: string): void {
    this.#open.add(id);
  }

  /** An entry that stands as desired, or is gone as desired. */
  settled(id: string): void {
    this.#open.delete(id);
  }

  /** An entry of another destination may have taken ours away, and of that the kernel says nothing (NLM_F_REPLACE). */
  doubtForwarding(mac: string, desired: ReadonlyMap<string, Entry>): void {
    this.#forwarding ??= new Map(
      [...desired].flatMap(([id, entry]) => (entry.kind === 'fdb' ? [[entry.mac, id] as const] : [])),
    );
    const id = this.#forwarding.get(mac);
    if (id === undefined) return;
    this.#mirror.forget(id);
    this.#open.add(id);
  }

  /** What has to be done, in an order in which it can be done. */
  steps(desired: ReadonlyMap<string, Entry>): Generator<Step> {
    return removalsLast(this.#each(desired));
  }

  *#each(desired: ReadonlyMap<string, Entry>): Generator<Step> {
    for (const id of routesLast(this.#open)) {
      const step = stepFor(id, desired, this.#mirror.entries);
      if (step) yield step;
      else this.#open.delete(id);
    }
  }
}

/** A few may have been heard of in any order; those that were compared come in the order of what is desired. */
function routesLast(ids: ReadonlySet<string>): readonly string[] {
  const all = [...ids];
  const isRoute = (id: string) => id.startsWith('r');
  return all.length > SOME ? all : [...all.filter((id) => !isRoute(id)), ...all.filter(isRoute)];
}
