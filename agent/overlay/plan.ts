/**
 * The difference between what should be and what is:
 *
 *         desired           dataplane
 *       ┌─────────┬───────┬──────────┐
 *       │   add   │ same  │  remove  │
 *       └─────────┴───────┴──────────┘
 *
 * and `change` is what is there under its id but differs.
 */
import { describeEntry, type Entry, type LinkNames, sameEntry } from './entry.ts';

/** What has to be done about one entry; `over` is the one of the same id that stands there now. */
export interface Step {
  readonly id: string;
  readonly entry: Entry;
  readonly verb: 'add' | 'change' | 'remove';
  readonly over: Entry | undefined;
}

type Entries = ReadonlyMap<string, Entry>;

/** Undefined where what stands under the id is what should. */
export function stepFor(id: string, desired: Entries, dataplane: Entries): Step | undefined {
  const entry = desired.get(id);
  const over = dataplane.get(id);
  if (!entry) return over && { id, entry: over, verb: 'remove', over };
  if (over && (over === entry || sameEntry(entry, over))) return undefined;
  return { id, entry, verb: over ? 'change' : 'add', over };
}

/**
 * First what is missing, in the order in which it comes (a peer's route after what it leads to); then what is too
 * much, routes first, so that no packet is led to a neighbour that is gone.
 */
export function* removalsLast(steps: Iterable<Step>): Generator<Step> {
  const removals: Step[] = [];
  for (const step of steps) {
    if (step.verb === 'remove') removals.push(step);
    else yield step;
  }
  const isRoute = ({ entry }: Step) => entry.kind === 'route';
  yield* removals.filter(isRoute);
  yield* removals.filter((step) => !isRoute(step));
}

/** Of everything there is, for `weftd plan`. */
export function planEntries(desired: Entries, dataplane: Entries): Step[] {
  const ids = new Set([...desired.keys(), ...dataplane.keys()]);
  return [...removalsLast([...ids].flatMap((id) => stepFor(id, desired, dataplane) ?? []))];
}

export const describeStep = ({ verb, entry }: Step, names: LinkNames): string =>
  `${verb} ${describeEntry(entry, names)}`;
