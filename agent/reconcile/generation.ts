/**
 * The contract that caches rely on: an input of a pass is never changed in place, so that the same object means that
 * nothing of it has changed, and thousands of peers need not be compared. Each object has a number, its generation;
 * caches keep and compare generations, and nothing else compares inputs by identity.
 *
 * Inputs under the contract: the peers' leases (`Peers.leases`), the lists of peers made of them, the records of pods.
 * What goes on changing in place, such as what probes have found, is not one of them: it is compared by value.
 */
const generations = new WeakMap<object, number>();
let last = 0;

/** The number of an object, for as long as the process lives. Equal numbers: unchanged. */
export function generationOf(input: object): number {
  const known = generations.get(input);
  if (known !== undefined) return known;
  last++;
  generations.set(input, last);
  return last;
}

/** Whether an input is the one of before. */
export const isUnchanged = (before: object | undefined, now: object | undefined): boolean =>
  before === undefined || now === undefined ? before === now : generationOf(before) === generationOf(now);
