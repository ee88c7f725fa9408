/** Who a pod may claim to be, as elements: its port on the bridge with its MAC, its addresses, or both. */

import type { Family, Ip } from '../../../inet/ip.ts';
import { elementOf } from '../../../kernel/nft/element.ts';
import { addressTypeOf } from '../../../kernel/nft/field.ts';
import type { NftSet, SetElement } from '../../../kernel/nft/set.ts';
import { type Owner, ownerOf } from '../owner.ts';
import { bridgeTable } from '../table.ts';

/** What the check needs to know of an attachment. */
export interface CheckedPod extends Owner {
  readonly container: { readonly mac: string };
  readonly addresses: readonly { readonly address: Ip }[];
  readonly spoofCheck: { readonly mac: boolean; readonly address: boolean };
}

const portSet = <Name extends string>(name: Name) =>
  ({ ...bridgeTable, name, key: ['ifname'] }) as const satisfies NftSet;

/** Ports whose pods are checked; what comes in by others is not weft's business. */
export const checkedPorts = portSet('spoof-ports');
/** Ports whose pods have to use the MAC that is theirs. */
export const macPorts = portSet('spoof-mac-ports');
/** Ports whose pods may use any address. */
export const anyAddress = portSet('spoof-any');

export const macs = {
  ...bridgeTable,
  name: 'spoof-macs',
  key: ['ifname', 'ether_addr'],
} as const satisfies NftSet;

/** Of pods whose addresses are checked, and not their MAC. */
export const sources = (family: Family) =>
  ({
    ...bridgeTable,
    name: `spoof-${family}`,
    key: ['ifname', addressTypeOf(family)],
  }) as const satisfies NftSet;

/** Of pods of which both are checked. */
export const macSources = (family: Family) =>
  ({
    ...bridgeTable,
    name: `spoof-mac-${family}`,
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
  macPorts,
  anyAddress,
  macs,
  sources('ipv4'),
  sources('ipv6'),
  macSources('ipv4'),
  macSources('ipv6'),
  advertised,
];

export function spoofElements(pod: CheckedPod): SetElement[] {
  const { mac: checksMac, address: checksAddress } = pod.spoofCheck;
  if (!checksMac && !checksAddress) return [];
  const comment = ownerOf(pod);
  const { name } = pod.host;
  const { mac } = pod.container;
  return [
    elementOf(checkedPorts, { key: [name], comment }),
    ...(checksMac
      ? [elementOf(macPorts, { key: [name], comment }), elementOf(macs, { key: [name, mac], comment })]
      : []),
    ...(checksAddress
      ? pod.addresses.flatMap(({ address }) => [
          checksMac
            ? elementOf(macSources(address.family), { key: [name, mac, address], comment })
            : elementOf(sources(address.family), { key: [name, address], comment }),
          ...(address.family === 'ipv6' ? [elementOf(advertised, { key: [name, address], comment })] : []),
        ])
      : [elementOf(anyAddress, { key: [name], comment })]),
  ];
}
