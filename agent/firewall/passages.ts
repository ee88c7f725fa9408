/** What has to get through other firewalls of the host. */
import { formatCidr } from '../../inet/cidr.ts';
import { protocolOf } from '../../kernel/nft/field.ts';
import type { DesiredFirewall } from './desired.ts';
import type { Passage } from './foreign.ts';
import { matchOf } from './tunnel.ts';

export function passagesOf(desired: DesiredFirewall): Passage[] {
  const pods = desired.networks.flatMap(({ cluster }): Passage[] => {
    const ip = protocolOf(cluster.family);
    const network = formatCidr(cluster);
    return (['saddr', 'daddr'] as const).map((side) => ({
      hook: 'forward',
      families: ['inet', ip],
      match: `${ip} ${side} ${network}`,
      plain: `${ip} ${side} ${network}`,
      label: `pods ${side === 'saddr' ? 'from' : 'to'} ${network}`,
    }));
  });
  if (!desired.tunnel) return pods;
  const { port, vni } = desired.tunnel;
  return [
    ...pods,
    {
      hook: 'input',
      families: ['inet', 'ip', 'ip6'],
      match: matchOf(desired.tunnel),
      plain: `udp dport ${port}`,
      label: `tunnel ${vni} on ${port}`,
    },
  ];
}
