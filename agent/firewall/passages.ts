/** In which hooks other firewalls have to let packets with weft's mark through. */
import { protocolOf } from '../../kernel/nft/field.ts';
import type { DesiredFirewall } from './desired.ts';
import type { Hook, Passage } from './foreign.ts';

export function passagesOf({ networks, tunnel, pods }: DesiredFirewall): Passage[] {
  const ofPods = new Set([
    ...networks.map(({ cluster }) => protocolOf(cluster.family)),
    ...(pods?.networks ?? []).map(({ network }) => protocolOf(network.family)),
  ]);
  // Peers' addresses may be of either family; on the node itself pods need neighbour discovery, which is IPv6's.
  const ofNode = new Set(tunnel ? (['ip', 'ip6'] as const) : ofPods);
  const passage = (hook: Hook, families: ReadonlySet<'ip' | 'ip6'>): Passage[] =>
    families.size ? [{ hook, families: ['inet', ...families] }] : [];
  return [...passage('forward', ofPods), ...passage('input', ofNode), ...passage('output', ofNode)];
}
