/**
 * Which packets get the mark that other firewalls' chains let through. A packet counts as a pod's only where it comes
 * from a pod's bridge or a tunnel, or goes there: an address alone can be forged.
 *
 * The chains stand around raw's priority, so that the mark is set before other firewalls' chains look at it.
 */
import { containsIp, formatCidr, nthIp } from '../../inet/cidr.ts';
import { protocolOf } from '../../kernel/nft/field.ts';
import type { ChainSpec, Part } from '../../kernel/nft/part.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import { TUNNEL_PORT } from '../probe/ports.ts';
import type { DesiredFirewall, NodeNetwork, PodNetwork } from './desired.ts';
import { clearMark, setMark } from './mark.ts';
import { matchOf, namesOf, tunnelDevices, usableNames } from './match.ts';

/** The bridge of the conflist that weft writes: its first pod is let through without a change of rules. */
const DEFAULT_BRIDGE = 'cni0';

/** Without these an IPv6 neighbour is not found (RFC 4861). */
const DISCOVERY = 'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }';
/** Without these a pod does not learn that its packets are too large, or lead nowhere. */
const ERRORS = {
  ip: 'icmp type { destination-unreachable, time-exceeded, parameter-problem }',
  ip6: 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }',
} as const;

export function passagePart(desired: DesiredFirewall): Part {
  return { ...inetTable, name: 'passage', sets: [], chains: chainsOf(desired) };
}

function chainsOf(desired: DesiredFirewall): ChainSpec[] {
  const leased = leasedBridges(desired);
  const tunnels = tunnelDevices(desired.tunnel);
  const hasIpv6 = desired.networks.some(({ cluster }) => cluster.family === 'ipv6');
  const all = [...new Set([...leased, ...foreignNetworks(desired).map(({ bridge }) => bridge)])];
  const discovery = (side: 'iifname' | 'oifname') =>
    hasIpv6 ? [`${side} ${namesOf([...all, ...tunnels])} ${DISCOVERY} ${setMark}`] : [];
  return [
    chain('passage-arrival', 'prerouting priority -310', [clearMark]),
    chain('passage-input', 'input priority -310', [
      clearMark,
      ...discovery('iifname'),
      // The agent answers peers' probes: a peer that gets no answer counts as silent.
      ...(tunnels.length ? [`iifname ${namesOf(tunnels)} udp dport ${TUNNEL_PORT} ${setMark}`] : []),
    ]),
    chain('passage-forward', 'forward priority -310', [
      clearMark,
      ...desired.networks.flatMap((network) => leasedRules(desired, network, { leased, tunnels })),
      ...(hasIpv6 ? [`iifname ${namesOf(all)} oifname ${namesOf(all)} ${DISCOVERY} ${setMark}`] : []),
      ...foreignNetworks(desired).flatMap(rangesRules),
      ...nestedTunnelRules(desired),
    ]),
    chain('passage-output', 'output priority -310', [
      ...discovery('oifname'),
      ...desired.networks.map(({ cluster }) => {
        const ip = protocolOf(cluster.family);
        return `oifname ${namesOf(all)} ${ip} daddr ${formatCidr(cluster)} ${ERRORS[ip]} ${setMark}`;
      }),
    ]),
  ];
}

const chain = (name: string, hook: string, rules: readonly string[]): ChainSpec => ({
  name,
  base: `type filter hook ${hook}; policy accept;`,
  rules,
});

/** From pods to anywhere, from anywhere to pods; by a direct way the underlay is what peers' pods come by. */
function leasedRules(
  { direct, masquerade }: DesiredFirewall,
  { cluster }: NodeNetwork,
  { leased, tunnels }: { leased: readonly string[]; tunnels: readonly string[] },
): string[] {
  const ip = protocolOf(cluster.family);
  const network = formatCidr(cluster);
  const ways = usableNames([...tunnels, ...direct]);
  return [
    `iifname ${namesOf(leased)} ${ip} saddr ${network} ${setMark}`,
    `oifname ${namesOf([...leased, ...ways])} ${ip} daddr ${network} ${setMark}`,
    // What came through this node to a peer's pod is masqueraded, so that the answer comes back this way.
    ...(masquerade && ways.length
      ? [`iifname ${namesOf(ways)} ${ip} saddr ${network} ct state established,related ${setMark}`]
      : []),
  ];
}

/** A network with ranges of its own is reached from outside by its host ports only. */
function rangesRules({ bridge, network }: PodNetwork): string[] {
  const ip = protocolOf(network.family);
  const prefix = formatCidr(network);
  return [
    `iifname "${bridge}" ${ip} saddr ${prefix} ${setMark}`,
    `oifname "${bridge}" ${ip} daddr ${prefix} ct state established,related ${setMark}`,
    `oifname "${bridge}" ${ip} daddr ${prefix} ct status dnat ${setMark}`,
  ];
}

/**
 * A pod that speaks VXLAN with our identifier to what is no pod could be taken for the tunnel, once it has the node's
 * address (tunnel.ts). An overlay among pods is their own affair.
 */
function nestedTunnelRules({ tunnel, networks }: DesiredFirewall): string[] {
  if (!tunnel) return [];
  return networks.map(({ cluster }) => {
    const ip = protocolOf(cluster.family);
    return `${matchOf(tunnel)} ${ip} daddr != ${formatCidr(cluster)} ${clearMark}`;
  });
}

function leasedBridges({ networks, pods }: DesiredFirewall): string[] {
  const own = (pods?.networks ?? []).filter((pod) => networks.some((each) => isLeased(pod, each)));
  return usableNames([DEFAULT_BRIDGE, ...own.map(({ bridge }) => bridge)]);
}

function foreignNetworks({ networks, pods }: DesiredFirewall): PodNetwork[] {
  const others = (pods?.networks ?? []).filter((pod) => !networks.some((each) => isLeased(pod, each)));
  return others.filter(({ bridge }) => usableNames([bridge]).length > 0);
}

const isLeased = ({ network }: PodNetwork, { cluster }: NodeNetwork): boolean =>
  containsIp(cluster, nthIp(network, 0));
