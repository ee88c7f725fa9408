/**
 * A pod sends from its own addresses, and answers for no others (ARP, neighbour discovery). It is nobody's
 * router: its router advertisements and redirects go nowhere. Where it is asked for, it also sends from its own
 * MAC only; or from that and whatever addresses it likes.
 *
 * The check stands where frames enter the bridge, so that it holds between pods of one bridge as well. Nearly
 * every packet of a pod's passes with the first look-up or two.
 */
import type { Part } from '../../../kernel/nft/part.ts';
import { bridgeTable } from '../table.ts';
import {
  advertised,
  anyAddress,
  checkedPorts,
  macPorts,
  macSources,
  macs,
  sources,
  spoofSets,
} from './sets.ts';

/** The target of a neighbour advertisement: 8 bytes into the ICMPv6 message (RFC 4861, section 4.4). */
const TARGET = '@th,64,128';
const LINK_LOCAL = 'fe80::/10';

export const spoofCheckPart: Part = {
  ...bridgeTable,
  name: 'spoof',
  sets: spoofSets.map((set) =>
    set.name === advertised.name ? { ...set, keyText: `iifname . ${TARGET}` } : set,
  ),
  chains: [
    {
      name: 'spoof-discovery',
      rules: [
        'icmpv6 type { nd-router-advert, nd-redirect } drop',
        `icmpv6 type nd-neighbor-advert iifname . ${TARGET} @${advertised.name} accept`,
        // Link-local addresses are the pod's own to choose (RFC 4862, section 5.3).
        `icmpv6 type nd-neighbor-advert @th,64,10 0x3fa accept`,
        'icmpv6 type nd-neighbor-advert drop',
        'accept',
      ],
    },
    {
      name: 'spoof-check',
      base: 'type filter hook prerouting priority -300; policy accept;',
      rules: [
        `iifname . ip saddr @${sources('ipv4').name} accept`,
        `iifname . ether saddr . ip saddr @${macSources('ipv4').name} accept`,
        `iifname . ip6 saddr @${sources('ipv6').name} goto spoof-discovery`,
        `iifname . ether saddr . ip6 saddr @${macSources('ipv6').name} goto spoof-discovery`,
        `iifname != @${checkedPorts.name} accept`,
        `iifname @${macPorts.name} iifname . ether saddr != @${macs.name} drop`,
        `iifname @${anyAddress.name} accept`,
        `ether type arp iifname . arp saddr ip @${sources('ipv4').name} accept`,
        `ether type arp iifname . arp saddr ether . arp saddr ip @${macSources('ipv4').name} accept`,
        // A probe claims nothing (RFC 5227, section 2.1.1).
        'ether type arp arp saddr ip 0.0.0.0 accept',
        `ether type ip6 ip6 saddr ${LINK_LOCAL} goto spoof-discovery`,
        // Duplicate address detection, and listening to groups, before there is an address.
        'ether type ip6 ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept',
        'drop',
      ],
    },
  ],
};
