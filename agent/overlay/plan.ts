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
import { type Entry, sameEntry } from './entry.ts';

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
    if (!over || !sameEntry(entry, over)) ensure.push({ id, entry, over });
  }
  // Routes go first, so that no packet is led to a neighbour that is gone.
  const remove = [...actual]
    .filter(([id]) => !desired.has(id))
    .map(([id, entry]) => ({ id, entry }))
    .sort((a, b) => Number(b.entry.kind === 'route') - Number(a.entry.kind === 'route'));
  return { ensure, remove };
}

export const isEmpty = (plan: Plan): boolean => plan.ensure.length === 0 && plan.remove.length === 0;

/** One line per step, for `weftd plan` and the log. */
export const describePlan = (plan: Plan): string[] => [
  ...plan.ensure.map(({ id, over }) => `${over ? 'change' : 'add'} ${id}`),
  ...plan.remove.map(({ id }) => `remove ${id}`),
];
