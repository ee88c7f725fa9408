/**
 * What pods have in sets. They put it there and take it away themselves; here it is put back when it was lost,
 * and taken away when its pod is gone. Both wait a while, lest a pod that is being made or removed at this
 * moment is taken for one: only after the loss of a whole table everything is put back at once.
 */

import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { add, elements, ensureAbsent, nameOfElement } from '../../kernel/nft/element.ts';
import { elementsOf } from '../../kernel/nft/element-codec.ts';
import { attemptTransaction, type Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { isPresent, type Part } from '../../kernel/nft/part.ts';
import type { NftSet, SetElement } from '../../kernel/nft/set.ts';
import type { Table, TableName } from '../../kernel/nft/state.ts';
import { hairpins, hairpinsAt } from '../../plugin/attach/host-ports/sets.ts';
import { atHome } from '../../plugin/attach/masquerade/sets.ts';
import { podRules } from '../../plugin/attach/pod-rules.ts';
import type { Pods } from './desired.ts';
import type { FirewallPass } from './pass.ts';

/** Longer than an ADD or DEL takes between its record and its elements. */
const MISSING_MS = 1000;
const STRAY_MS = 30_000;

/** The parts that pods need in this table, and those that are there already. */
export function podParts(pods: Pods | undefined, name: TableName, table: Table | undefined): Part[] {
  const parts = podRules.filter(
    ({ part, elementsOf }) =>
      part.family === name.family &&
      ((table !== undefined && isPresent(part, table)) ||
        pods?.made.some((pod) => elementsOf(pod).length > 0)),
  );
  return parts.map(({ part }) => part);
}

export class PodElements {
  readonly #nfnl: Nfnl;
  readonly #now: () => number;
  /** Since when an element is missing, or there without a pod. */
  #since: ReadonlyMap<string, number> = new Map();

  /** `now`: milliseconds of a clock that never steps. */
  constructor(nfnl: Nfnl, now: () => number) {
    this.#nfnl = nfnl;
    this.#now = now;
  }

  /** `afresh`: the tables were made anew, so that what is missing was lost with the old ones. */
  ensure(pods: Pods | undefined, afresh: boolean): FirewallPass {
    if (!pods) return { done: [], problems: [] };
    const { missing, stray } = this.#compare(pods);
    const now = this.#now();
    const since = new Map<string, number>();
    const ripe = (element: SetElement, waitMs: number): boolean => {
      const name = nameOfElement(element);
      const first = this.#since.get(name) ?? now;
      since.set(name, first);
      return now - first >= waitMs;
    };
    const due = missing.filter((element) => ripe(element, MISSING_MS) || afresh);
    const gone = stray.filter((element) => ripe(element, STRAY_MS));
    this.#since = since;
    const problems = this.#add(due);
    ensureAbsent(this.#nfnl, gone);
    return {
      done: [
        ...due.map((element) => `add ${nameOfElement(element)}`),
        ...gone.map((element) => `remove ${nameOfElement(element)}, whose pod is gone`),
      ],
      problems,
      retryInMs: missing.length > due.length ? MISSING_MS : undefined,
    };
  }

  #compare(pods: Pods): { missing: SetElement[]; stray: SetElement[] } {
    const missing: SetElement[] = [];
    const stray: SetElement[] = [];
    for (const { sets, elementsOf } of podRules) {
      const wanted = new Map(
        pods.made.flatMap(elementsOf).map((element) => [nameOfElement(element), element]),
      );
      for (const set of sets) {
        for (const element of elements(this.#nfnl, set) ?? []) {
          wanted.delete(nameOfElement({ set, ...element }));
          if (!pods.interfaces.has(interfaceOf(element.comment))) stray.push({ set, ...element });
        }
      }
      missing.push(...wanted.values());
    }
    return { missing, stray };
  }

  /** All at once; where one is refused, each by itself. */
  #add(missing: readonly SetElement[]): string[] {
    const together = attemptTransaction(this.#nfnl, add(missing));
    if (together.every((outcome) => !outcome)) return [];
    return missing.flatMap((element) => {
      const [refusal] = attemptTransaction(this.#nfnl, add([element]));
      return refusal ? refusal.message : [];
    });
  }
}

/** The host's end of the pod that an element belongs to (plugin/attach/owner.ts). */
const interfaceOf = (comment: string | undefined): string => comment?.split('/').at(-1) ?? '';

/** Sets with a pod's bridge in their keys. */
const bridgeSets: readonly NftSet[] = (['ipv4', 'ipv6'] as const).flatMap((family): NftSet[] => [
  atHome(family),
  hairpins(family),
  hairpinsAt(family),
]);

/** Whether a notification tells of elements of a pod whose bridge is not among those. */
export function hasOtherBridge(
  setName: string,
  message: NetlinkMessage,
  bridges: ReadonlySet<string>,
): boolean {
  const set = bridgeSets.find(({ name }) => name === setName);
  if (!set) return false;
  const at = set.key.indexOf('ifname');
  return elementsOf(set, message).some(({ key }) => !bridges.has(String(key[at])));
}
