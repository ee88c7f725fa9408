/**
 * The rules that look host ports up. Their number does not grow with the ports.
 *
 * A packet that would leave by the bridge it came from is masqueraded, or the pod would answer its sibling
 * directly, past the translation; so is one from 127.0.0.1, which means something else in the pod. What is to
 * be masqueraded is decided before the translation, and kept in the packet's mark, in the reference portmap
 * plugin's bit, until it leaves.
 */
import { protocolOf } from '../../../kernel/nft/field.ts';
import type { Part } from '../../../kernel/nft/part.ts';
import { inetTable } from '../table.ts';
import { families, hairpins, hairpinsAt, hostPortSets, ports, portsAt } from './sets.ts';

const MASQUERADE_MARK = '0x2000';
const markRule = `meta mark set meta mark or ${MASQUERADE_MARK}`;
const service = 'meta l4proto . th dport';

const hairpinRules = families.flatMap((family) => [
  `iifname . ${protocolOf(family)} daddr . ${service} @${hairpinsAt(family).name} ${markRule}`,
  `meta nfproto ${family} iifname . ${service} @${hairpins(family).name} ${markRule}`,
]);

const translationRules = families.flatMap((family) => {
  const ip = protocolOf(family);
  const translate = `meta nfproto ${family} meta l4proto { tcp, udp, sctp } dnat ${ip} addr . port to`;
  return [
    `${translate} ${ip} daddr . ${service} map @${portsAt(family).name}`,
    `${translate} ${service} map @${ports(family).name}`,
  ];
});

export const hostPortsPart: Part = {
  ...inetTable,
  name: 'hostports',
  sets: hostPortSets,
  chains: [
    { name: 'hostports-lookup', rules: [...hairpinRules, ...translationRules] },
    {
      name: 'hostports-in',
      base: 'type nat hook prerouting priority dstnat; policy accept;',
      rules: ['fib daddr type local jump hostports-lookup'],
    },
    {
      name: 'hostports-local',
      base: 'type nat hook output priority -100; policy accept;',
      rules: ['fib daddr type local jump hostports-lookup'],
    },
    {
      name: 'hostports-out',
      base: 'type nat hook postrouting priority srcnat; policy accept;',
      rules: [
        `ct status dnat meta mark and ${MASQUERADE_MARK} != 0 masquerade fully-random`,
        'ct status dnat ip saddr 127.0.0.0/8 oifname != "lo" masquerade fully-random',
      ],
    },
    {
      // A port on 127.0.0.1 takes route_localnet on the bridge, and with it pods could reach what listens on
      // the host's loopback interface (CVE-2020-8558).
      name: 'hostports-loopback',
      base: 'type filter hook prerouting priority raw; policy accept;',
      rules: ['iifname != "lo" ip daddr 127.0.0.0/8 drop', 'iifname != "lo" ip saddr 127.0.0.0/8 drop'],
    },
  ],
};
