/**
 * A pod's elements in weft's sets and maps. Each carries its owner in the comment, so that nobody takes away
 * what is another pod's, and what belongs to no pod any more is recognised.
 */

import { failedWith } from '../../kernel/errors.ts';
import { add, elements, ensureAbsent, formatElement, lookUp, remove } from '../../kernel/nft/element.ts';
import { encodeFields } from '../../kernel/nft/field.ts';
import { attemptTransaction, type Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { ensureParts, isStanding, type Part } from '../../kernel/nft/part.ts';
import type { NftElement, NftSet, SetElement } from '../../kernel/nft/set.ts';
import { ownerPrefix } from './owner.ts';

/** Another owner has the element's key. */
export interface Taken {
  readonly element: SetElement;
  /** What stands there; its comment names the owner. */
  readonly by: NftElement;
}

/** Somebody else may take or free a key between our look and our transaction. */
const ATTEMPTS = 5;

/**
 * Makes the elements be there, all or none, in the calling thread's namespace, and the rules that look at
 * them. Nothing is changed where one is taken: the answer names it.
 */
export function ensureOwned(nfnl: Nfnl, part: Part, wanted: readonly SetElement[]): Taken | undefined {
  if (!isStanding(nfnl, part)) ensureParts({ nfnl, name: part, desired: [part], all: false });
  let replaced: readonly SetElement[] = [];
  let missing = wanted;
  for (let attempt = 1; ; attempt++) {
    const requests = [...remove(replaced), ...add([...replaced, ...missing], { exclusive: true })];
    const outcomes = attemptTransaction(nfnl, requests);
    const refusal = outcomes.find((outcome) => outcome !== undefined);
    if (!refusal) return undefined;
    if (!failedWith(refusal, 'EEXIST', 'ENOENT') || attempt === ATTEMPTS) throw refusal;
    if (!isStanding(nfnl, part)) ensureParts({ nfnl, name: part, desired: [part], all: false });
    const standing = wanted.map((element) => ({ element, by: lookUp(nfnl, element) }));
    const taken = standing.find(({ element, by }) => by && by.comment !== element.comment);
    if (taken?.by) return { element: taken.element, by: taken.by };
    missing = standing.filter(({ by }) => !by).map(({ element }) => element);
    replaced = standing
      .filter(({ element, by }) => by && !sameData(element, by))
      .map(({ element }) => element);
  }
}

/** Takes away those of the elements that are there and have this owner. */
export function removeOwned(nfnl: Nfnl, candidates: readonly SetElement[]): void {
  ensureAbsent(
    nfnl,
    candidates.filter((element) => lookUp(nfnl, element)?.comment === element.comment),
  );
}

/** What of the elements is not there as it should, in words; undefined where all is. */
export function amissOwned(nfnl: Nfnl, part: Part, wanted: readonly SetElement[]): string | undefined {
  if (!isStanding(nfnl, part)) return `the rules ${part.family} ${part.table} ${part.name} are missing`;
  for (const element of wanted) {
    const standing = lookUp(nfnl, element);
    if (!standing) return `${formatElement(element)} is missing`;
    if (standing.comment !== element.comment) {
      return `${formatElement(element)} belongs to ${standing.comment ?? 'nobody'}`;
    }
    if (!sameData(element, standing)) return `${formatElement(element)} leads elsewhere`;
  }
  return undefined;
}

/** Removes whatever in these sets is this owner's. */
export function removeAllOwned(nfnl: Nfnl, sets: readonly NftSet[], owner: string): void {
  for (const set of sets) {
    const owned = (elements(nfnl, set, owner) ?? []).filter(({ comment }) => comment === owner);
    ensureAbsent(
      nfnl,
      owned.map((element) => ({ set, ...element })),
    );
  }
}

/** Removes elements of this network's pods whose owner is not among the living, who are asked for last. */
export function sweepOwned(
  nfnl: Nfnl,
  options: { sets: readonly NftSet[]; network: string; live: () => ReadonlySet<string> },
): void {
  const prefix = ownerPrefix(options.network);
  for (const set of options.sets) {
    const owned = (elements(nfnl, set, prefix) ?? []).filter(({ comment }) => comment?.startsWith(prefix));
    if (owned.length === 0) continue;
    const live = options.live();
    const stale = owned.filter(({ comment = '' }) => !live.has(comment));
    ensureAbsent(
      nfnl,
      stale.map((element) => ({ set, ...element })),
    );
  }
}

const sameData = ({ set, data }: SetElement, standing: NftElement): boolean =>
  set.data === undefined ||
  encodeFields(set.data, data ?? []).equals(encodeFields(set.data, standing.data ?? []));
