/**
 * The tunnel's guard: VXLAN packets with our network identifier are accepted from peers only, since whoever
 * may send one speaks to every pod. Peers come and go as elements of a set.
 *
 * The guard stands in the input hook, where IPv4 fragments have been put together (an attacker's first
 * fragment need not reach as far as the VXLAN header); for IPv6 they are because the table uses conntrack.
 *
 * The outer packets are not tracked: each peer would cost an entry per flow of its pods, the inner packets
 * are tracked as themselves, and a translation applied to both would break checksums.
 */

import type { Family, Ip } from '../../inet/ip.ts';
import { elementOf } from '../../kernel/nft/element.ts';
import { addressTypeOf, protocolOf } from '../../kernel/nft/field.ts';
import type { Part } from '../../kernel/nft/part.ts';
import type { NftSet, SetElement } from '../../kernel/nft/set.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import type { Tunnel } from './desired.ts';

const families = ['ipv4', 'ipv6'] as const satisfies readonly Family[];

const peersSet = (family: Family) =>
  ({ ...inetTable, name: `peers-${family}`, key: [addressTypeOf(family)] }) as const satisfies NftSet;

/** The sets of peers, one per family of the underlay. */
export const peerSets: readonly NftSet[] = families.map(peersSet);

export const peerElements = (peers: readonly Ip[]): SetElement[] =>
  peers.map((peer) => elementOf(peersSet(peer.family), { key: [peer] }));

/**
 * Our packets among those of everybody who uses the port. The VXLAN network identifier is 24 bits, 12 bytes
 * after the start of the UDP header (RFC 7348, section 5).
 */
export const matchOf = ({ port, vni }: Pick<Tunnel, 'port' | 'vni'>): string =>
  `udp dport ${port} @th,96,24 ${vni}`;

export function tunnelPart(tunnel: Tunnel): Part {
  const match = matchOf(tunnel);
  const guard = families.map((family) => {
    const { name } = peersSet(family);
    return `${match} ${protocolOf(family)} saddr != @${name} drop`;
  });
  return {
    ...inetTable,
    name: 'tunnel',
    sets: families.map(peersSet),
    chains: [
      {
        name: 'tunnel-guard',
        base: 'type filter hook input priority raw; policy accept;',
        rules: tunnel.peers ? guard : [],
      },
      {
        name: 'tunnel-in',
        base: 'type filter hook prerouting priority raw; policy accept;',
        rules: [`${match} notrack`],
      },
      {
        name: 'tunnel-out',
        base: 'type filter hook output priority raw; policy accept;',
        rules: [`${match} notrack`],
      },
    ],
  };
}
