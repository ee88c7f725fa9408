/** What on this host relies on forwarding besides weft: networks of containers, virtual machines and tunnels. */

import type { Family } from '../../inet/ip.ts';
import { links } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { routes } from '../../kernel/route.ts';

/** Kinds of links behind which there are other machines or containers (rtnl_link_ops.kind). */
const routed = [
  'bridge',
  'veth',
  'tun',
  'wireguard',
  'vxlan',
  'geneve',
  'gre',
  'ipip',
  'ipvlan',
  'macvlan',
  'vrf',
];

const families = ['ipv4', 'ipv6'] as const;

/** This host's own way out, where it is itself a container. */
const defaultLinks = (rtnl: Rtnl, family: Family): number[] =>
  routes(rtnl, { family }).flatMap(({ destination, index }) =>
    destination.length === 0 && index !== undefined ? [index] : [],
  );

/** Names the links that need a setting of forwarding; undefined: none does. Call it once weft's own links are gone. */
export function neededBy(rtnl: Rtnl): (key: string) => string | undefined {
  const uplinks = new Set(families.flatMap((family) => defaultLinks(rtnl, family)));
  const others = links(rtnl).filter(
    ({ up, kind, index }) => up && kind !== undefined && routed.includes(kind) && !uplinks.has(index),
  );
  const names = others.slice(0, 3).map(({ name }) => name);
  const user = names.length === 0 ? undefined : `${names.join(', ')}${others.length > 3 ? ', ...' : ''}`;
  return (key) => (/\/(ip_forward|forwarding|accept_ra)$/.test(key) ? user : undefined);
}
