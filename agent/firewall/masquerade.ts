/**
 * What leaves the cluster's network gets the host's address; what stays inside keeps its own.
 *
 * Once per host, whatever the number of pods. The order of the rules is flannel's (iptables.go), which nodes
 * of one cluster have to share, with one difference: between pods nothing is ever translated, not even in
 * transit.
 */
import { type Cidr, formatCidr } from '../../inet/cidr.ts';
import type { Family } from '../../inet/ip.ts';
import { protocolOf } from '../../kernel/nft/field.ts';
import type { Part } from '../../kernel/nft/part.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import type { NodeNetwork } from './desired.ts';

/** What kube-proxy has marked it masquerades itself (pkg/proxy/iptables, `KUBE-MARK-MASQ`). */
const KUBE_PROXY_MARK = '0x4000';

const multicast: Readonly<Record<Family, string>> = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' };

export function masqueradePart(networks: readonly NodeNetwork[], except: readonly Cidr[]): Part {
  return {
    ...inetTable,
    name: 'masquerade',
    sets: [],
    chains: [
      {
        name: 'masquerading',
        base: 'type nat hook postrouting priority srcnat; policy accept;',
        rules: [
          `meta mark and ${KUBE_PROXY_MARK} != 0 return`,
          ...networks.flatMap((network) => rulesOf(network, except)),
        ],
      },
    ],
  };
}

function rulesOf({ cluster, subnet }: NodeNetwork, except: readonly Cidr[]): string[] {
  const ip = protocolOf(cluster.family);
  const inside = formatCidr(cluster);
  const excepted = except.filter(({ family }) => family === cluster.family);
  return [
    `${ip} daddr ${formatCidr(subnet)} return`,
    `${ip} saddr ${inside} ${ip} daddr ${inside} return`,
    `${ip} daddr ${multicast[cluster.family]} return`,
    ...excepted.map((destination) => `${ip} daddr ${formatCidr(destination)} return`),
    `${ip} saddr ${inside} masquerade fully-random`,
    // From outside through this node to another node's pods: the answer has to come back this way.
    `${ip} daddr ${inside} masquerade fully-random`,
  ];
}
