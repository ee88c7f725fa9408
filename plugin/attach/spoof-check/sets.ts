/** Who a pod may claim to be, as elements: its port on the bridge, its MAC, and its addresses. */
import type { Family, Ip } from '../../../inet/ip.ts';
import { elementOf, type NftSet, type SetElement } from '../../../kernel/nft/element.ts';
import { addressTypeOf } from '../../../kernel/nft/field.ts';
import { type Owner, ownerOf } from '../owner.ts';
import { bridgeTable } from '../table.ts';

/** What the check needs to know of an attachment. */
export interface CheckedPod extends Owner {
  readonly container: { readonly mac: string };
  /** None: only the MAC is checked, as for a layer-2 network. */
  readonly addresses: readonly { readonly address: Ip }[];
  readonly spoofCheck: boolean;
}

/** Ports whose pods are checked; what comes in by others is not weft's business. */
export const checkedPorts = {
  ...bridgeTable,
  name: 'spoof-ports',
  key: ['ifname'],
} as const satisfies NftSet;

/** Ports whose pods may use any address, as long as the MAC is theirs. */
export const anyAddress = { ...bridgeTable, name: 'spoof-any', key: ['ifname'] } as const satisfies NftSet;

export const macs = {
  ...bridgeTable,
  name: 'spoof-macs',
  key: ['ifname', 'ether_addr'],
} as const satisfies NftSet;

export const sources = (family: Family) =>
  ({
    ...bridgeTable,
    name: `spoof-${family}`,
    key: ['ifname', 'ether_addr', addressTypeOf(family)],
  }) as const satisfies NftSet;

/** Addresses for which a pod may answer neighbour solicitations. */
export const advertised = {
  ...bridgeTable,
  name: 'spoof-advertised',
  key: ['ifname', 'ipv6_addr'],
} as const satisfies NftSet;

export const spoofSets: readonly NftSet[] = [
  checkedPorts,
  anyAddress,
  macs,
  sources('ipv4'),
  sources('ipv6'),
  advertised,
];

export function spoofElements(pod: CheckedPod): SetElement[] {
  if (!pod.spoofCheck) return [];
  const comment = ownerOf(pod);
  const { name } = pod.host;
  const { mac } = pod.container;
  return [
    elementOf(checkedPorts, { key: [name], comment }),
    elementOf(macs, { key: [name, mac], comment }),
    ...(pod.addresses.length === 0 ? [elementOf(anyAddress, { key: [name], comment })] : []),
    ...pod.addresses.flatMap(({ address }) => [
      elementOf(sources(address.family), { key: [name, mac, address], comment }),
      ...(address.family === 'ipv6' ? [elementOf(advertised, { key: [name, address], comment })] : []),
    ]),
  ];
}
