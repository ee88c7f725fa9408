/** Where the host's own networks and the cluster's meet. */
import { formatCidr, formatInterfaceAddress, networkOf, overlaps } from '../../inet/cidr.ts';
import type { LinkAddress } from '../../kernel/address.ts';
import type { ClusterNetwork } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { type FactLink, hasNetwork, isOwnDevice, linkOf, type UnderlayFacts } from './facts.ts';

/** @throws AgentError `overlap` where an address of the underlay, or the network around it, meets the cluster's */
export function refuseOverlap(
  link: FactLink,
  addresses: readonly LinkAddress[],
  networks: readonly ClusterNetwork[],
): void {
  for (const own of addresses) {
    const hit = meeting(own, networks);
    if (!hit) continue;
    const field = hit.cidr.family === 'ipv4' ? 'network' : 'network6';
    throw new AgentError(
      'overlap',
      `${field}: the cluster's network ${formatCidr(hit.cidr)} overlaps with the nodes' own, ` +
        `${formatInterfaceAddress(own)} on ${link.name}; choose another ${field}`,
    );
  }
}

/** The host's other interfaces in the cluster's network, but for bridges of a node subnet's length: pods' have it. */
export function overlapWarnings(
  facts: UnderlayFacts,
  underlay: FactLink,
  networks: readonly ClusterNetwork[],
): string[] {
  return facts.addresses.flatMap((own) => {
    const link = linkOf(facts, own.index);
    const hit = meeting(own, networks);
    if (!link || link.index === underlay.index || isOwnDevice(link) || !hasNetwork(own) || !hit) return [];
    if (link.kind === 'bridge' && own.length === hit.subnetLength) return [];
    return [
      `${link.name} has ${formatInterfaceAddress(own)}, which overlaps with the cluster's network ` +
        `${formatCidr(hit.cidr)}: one of the two will not be reached; choose another network for one of them`,
    ];
  });
}

/** The cluster's network that an address, or the network around it, meets. */
export const meeting = (own: LinkAddress, networks: readonly ClusterNetwork[]): ClusterNetwork | undefined =>
  networks.find(({ cidr }) => overlaps(cidr, networkOf(own.address, own.length)));
