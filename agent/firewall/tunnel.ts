/**
 * The tunnel's guard: VXLAN packets with our network identifier are accepted from peers only, since whoever
 * may send one speaks to every pod. Peers come and go as elements of a set.
 *
 * The other half stands where packets leave. Any process of the host could send VXLAN to a peer with the node's own
 * address, and a pod whose packets are masqueraded could too. So what leaves for the tunnel's port with our identifier
 * must have come from the device: a mark bit, set there, stays on the packet through encapsulation. The outer packet's
 * socket is the inner packet's, so its owner says nothing.
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
import { droppedReceived, droppedSent, dropSets } from './guard-drops.ts';
import { clearMark, hasNoMark, setMark } from './mark.ts';
import { matchOf, namesOf, tunnelDevices } from './match.ts';

const families = ['ipv4', 'ipv6'] as const satisfies readonly Family[];

const peersSet = (family: Family) =>
  ({ ...inetTable, name: `peers-${family}`, key: [addressTypeOf(family)] }) as const satisfies NftSet;

/** The sets of peers, one per family of the underlay. */
export const peerSets: readonly NftSet[] = families.map(peersSet);

export const peerElements = (peers: readonly Ip[]): SetElement[] =>
  peers.map((peer) => elementOf(peersSet(peer.family), { key: [peer] }));

export function tunnelPart(tunnel: Tunnel): Part {
  const match = matchOf(tunnel);
  const guard = families.flatMap((family) => {
    const ip = protocolOf(family);
    const stranger = `${match} ${ip} saddr != @${peersSet(family).name}`;
    return [
      `${stranger} update @${droppedReceived(family).name} { ${ip} saddr counter }`,
      `${stranger} drop`,
    ];
  });
  // Before the peers are known, what would be guarded is let through other firewalls as well.
  const known = tunnel.peers ? guard : [];
  const exit = families.flatMap((family) => {
    const { name } = peersSet(family);
    const ip = protocolOf(family);
    const count = `update @${droppedSent(family).name} { ${ip} daddr counter }`;
    return [
      `meta nfproto ${family} fib saddr type local ${count}`,
      `meta nfproto ${family} fib saddr type local drop`,
      `${ip} daddr @${name} ${ip} saddr != @${name} ${count}`,
      `${ip} daddr @${name} ${ip} saddr != @${name} drop`,
    ].map((rule) => `${hasNoMark} ${match} ${rule}`);
  });
  return {
    ...inetTable,
    name: 'tunnel',
    sets: [...families.map(peersSet), ...dropSets],
    chains: [
      {
        name: 'tunnel-guard',
        base: 'type filter hook input priority raw; policy accept;',
        rules: [...known, `${match} ${setMark}`],
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
      {
        name: 'tunnel-exit',
        base: 'type filter hook postrouting priority 300; policy accept;',
        rules: [`oifname ${namesOf(tunnelDevices(tunnel))} ${setMark} accept`, ...exit, clearMark],
      },
    ],
  };
}
