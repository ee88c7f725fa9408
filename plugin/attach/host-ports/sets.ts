/**
 * Host ports as elements: for each port and family one in the map that leads to the pod, and one that says
 * from which bridge a packet to it would come back out where it came from.
 *
 * A port bound to one address of the node has precedence over the same port bound to all of them.
 */

import { type Family, formatIp, type Ip } from '../../../inet/ip.ts';
import { elementOf } from '../../../kernel/nft/element.ts';
import { addressTypeOf } from '../../../kernel/nft/field.ts';
import type { NftSet, SetElement } from '../../../kernel/nft/set.ts';
import type { PortMapping } from '../../protocol/network.ts';
import { type Owner, ownerOf } from '../owner.ts';
import { inetTable } from '../table.ts';

/** What host ports need to know of an attachment. */
export interface PodWithPorts extends Owner {
  readonly bridge: string;
  readonly addresses: readonly { readonly address: Ip }[];
  readonly hostPorts: readonly PortMapping[];
}

export const families = ['ipv4', 'ipv6'] as const satisfies readonly Family[];

/** Port on one address of the node → pod. */
export const portsAt = (family: Family) =>
  ({
    ...inetTable,
    name: `hostports-at-${family}`,
    key: [addressTypeOf(family), 'inet_proto', 'inet_service'],
    data: [addressTypeOf(family), 'inet_service'],
  }) as const satisfies NftSet;

/** Port on every address of the node → pod. */
export const ports = (family: Family) =>
  ({
    ...inetTable,
    name: `hostports-${family}`,
    key: ['inet_proto', 'inet_service'],
    data: [addressTypeOf(family), 'inet_service'],
  }) as const satisfies NftSet;

/** The bridge on which the pod with that port is: what comes from there has to be masqueraded. */
export const hairpinsAt = (family: Family) =>
  ({
    ...inetTable,
    name: `hairpins-at-${family}`,
    key: ['ifname', addressTypeOf(family), 'inet_proto', 'inet_service'],
  }) as const satisfies NftSet;

export const hairpins = (family: Family) =>
  ({
    ...inetTable,
    name: `hairpins-${family}`,
    key: ['ifname', 'inet_proto', 'inet_service'],
  }) as const satisfies NftSet;

export const hostPortSets: readonly NftSet[] = families.flatMap((family): NftSet[] => [
  portsAt(family),
  ports(family),
  hairpinsAt(family),
  hairpins(family),
]);

/** The port of a mapping in one family: on `hostIp`, or where undefined on every address. */
export interface Binding {
  readonly mapping: PortMapping;
  readonly pod: Ip;
  readonly hostIp: Ip | undefined;
}

/** The first address of a family counts, as with the reference portmap plugin; a host address of the other family does not concern it. */
export function bindingsOf(pod: PodWithPorts): Binding[] {
  return families.flatMap((family) => {
    const address = pod.addresses.find((each) => each.address.family === family)?.address;
    if (!address) return [];
    return pod.hostPorts
      .filter(({ hostIp }) => hostIp === undefined || hostIp.family === family)
      .map((mapping) => ({
        mapping,
        pod: address,
        hostIp: mapping.hostIp?.value ? mapping.hostIp : undefined,
      }));
  });
}

export function hostPortElements(pod: PodWithPorts): SetElement[] {
  const comment = ownerOf(pod);
  return bindingsOf(pod).flatMap(({ mapping, pod: target, hostIp }) => {
    const { protocol, hostPort, containerPort } = mapping;
    const data = [target, containerPort] as const;
    if (hostIp) {
      return [
        elementOf(portsAt(target.family), { key: [hostIp, protocol, hostPort], data, comment }),
        elementOf(hairpinsAt(target.family), { key: [pod.bridge, hostIp, protocol, hostPort], comment }),
      ];
    }
    return [
      elementOf(ports(target.family), { key: [protocol, hostPort], data, comment }),
      elementOf(hairpins(target.family), { key: [pod.bridge, protocol, hostPort], comment }),
    ];
  });
}

/** For messages: `host port 8080/tcp on 192.0.2.1`. */
export const formatBinding = ({ mapping, hostIp }: Pick<Binding, 'mapping' | 'hostIp'>): string =>
  `host port ${mapping.hostPort}/${mapping.protocol}${hostIp ? ` on ${formatIp(hostIp)}` : ''}`;
