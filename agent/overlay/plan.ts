/**
 * The difference between what should be and what is:
 *
 *         desired           actual
 *       ┌─────────┬───────┬──────────┐
 *       │ ensure  │ same  │  remove  │
 *       └─────────┴───────┴──────────┘
 *
 * with `ensure` also holding what is there under its id but differs.
 */
import { describeEntry, type Entry, sameEntry } from './entry.ts';

export interface Plan {
  /** To be put in place, in order; `over` is the entry of the same id that stands there now. */
  readonly ensure: readonly {
    readonly id: string;
    readonly entry: Entry;
    readonly over: Entry | undefined;
  }[];
  /** Ours, and not desired. */
  readonly remove: readonly { readonly id: string; readonly entry: Entry }[];
}

export function planEntries(desired: ReadonlyMap<string, Entry>, actual: ReadonlyMap<string, Entry>): Plan {
  const ensure: Plan['ensure'][number][] = [];
  for (const [id, entry] of desired) {
    const over = actual.get(id);
    if (over !== entry && (!over || !sameEntry(entry, over))) ensure.push({ id, entry, over });
  }
  const routes: Plan['remove'][number][] = [];
  const others: Plan['remove'][number][] = [];
  for (const [id, entry] of actual) {
    if (!desired.has(id)) (entry.kind === 'route' ? routes : others).push({ id, entry });
  }
  // Routes go first, so that no packet is led to a neighbour that is gone.
  return { ensure, remove: [...routes, ...others] };
}

/** One line per step, for `weftd plan` and the log. */
export const describePlan = (plan: Plan): string[] => [
  ...plan.ensure.map(({ entry, over }) => `${over ? 'change' : 'add'} ${describeEntry(entry)}`),
  ...plan.remove.map(({ entry }) => `remove ${describeEntry(entry)}`),
];
