/** Pods of ranges of their own that leave with the node's address, as elements. */

import type { Family, Ip } from '../../../inet/ip.ts';
import { elementOf } from '../../../kernel/nft/element.ts';
import { addressTypeOf } from '../../../kernel/nft/field.ts';
import type { NftSet, SetElement } from '../../../kernel/nft/set.ts';
import { type Owner, ownerOf } from '../owner.ts';
import { inetTable } from '../table.ts';

/** What masquerading needs to know of an attachment. */
export interface MasqueradedPod extends Owner {
  readonly bridge: string;
  readonly addresses: readonly { readonly address: Ip }[];
  readonly masquerade: boolean;
}

export const masqueraded = (family: Family) =>
  ({ ...inetTable, name: `masqueraded-${family}`, key: [addressTypeOf(family)] }) as const satisfies NftSet;

/** A pod and its own bridge: what stays on it keeps its address. */
export const atHome = (family: Family) =>
  ({
    ...inetTable,
    name: `at-home-${family}`,
    key: [addressTypeOf(family), 'ifname'],
  }) as const satisfies NftSet;

export const masqueradeSets: readonly NftSet[] = (['ipv4', 'ipv6'] as const).flatMap((family): NftSet[] => [
  masqueraded(family),
  atHome(family),
]);

export function masqueradeElements(pod: MasqueradedPod): SetElement[] {
  if (!pod.masquerade) return [];
  const comment = ownerOf(pod);
  return pod.addresses.flatMap(({ address }) => [
    elementOf(masqueraded(address.family), { key: [address], comment }),
    elementOf(atHome(address.family), { key: [address, pod.bridge], comment }),
  ]);
}
