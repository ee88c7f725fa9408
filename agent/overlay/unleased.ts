/**
 * Packets for subnets that no node leases: without a route of their own they would leave by the default route.
 * One route for the whole cluster network, worse than every other, ends them here.
 */
import { type Cidr, containsIp, firstIp, formatCidr, lastIp } from '../../inet/cidr.ts';
import { bitsOf } from '../../inet/ip.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type DeadEnd, entryFor, RT_TABLE_MAIN, RTPROT_WEFT } from '../../kernel/route.ts';
import type { RouteEntry } from './entry.ts';
import type { OverlayState } from './state.ts';

const WORST_PRIORITY = 0xffff_ffff;
/** The kernel puts such a route of IPv6 on the loopback device, which is the first of every namespace. */
const LOOPBACK_INDEX = 1;

export const unleasedRoute = (network: Cidr, deadEnd: DeadEnd): RouteEntry => ({
  kind: 'route',
  destination: network,
  deadEnd,
  gateway: undefined,
  index: network.family === 'ipv6' ? LOOPBACK_INDEX : 0,
  onlink: false,
  mtuBytes: undefined,
  priority: WORST_PRIORITY,
  table: RT_TABLE_MAIN,
});

/** Whether another program has a route for the very network: an operator who leads it elsewhere. */
export function hasForeignRoute(
  rtnl: Rtnl,
  state: Pick<OverlayState, 'network' | 'subnet' | 'peers'>,
): boolean {
  const address = unleasedAddress(state);
  const entry = address && entryFor(rtnl, address);
  return (
    entry !== undefined &&
    entry.protocol !== RTPROT_WEFT &&
    entry.deadEnd === undefined &&
    formatCidr(entry.destination) === formatCidr(state.network)
  );
}

/** An address of the network in no node's subnet; undefined where all of it is leased. */
function unleasedAddress({ network, subnet, peers }: Pick<OverlayState, 'network' | 'subnet' | 'peers'>) {
  const taken = new Set([subnet, ...peers.map((peer) => peer.subnet)].map(({ base }) => base));
  const size = 1n << BigInt(bitsOf(network.family) - subnet.length);
  const first = firstIp(network);
  for (let base = lastIp(network).value - size + 1n; base >= first.value; base -= size) {
    const address = { family: network.family, value: base };
    if (
      !taken.has(base) &&
      !peers.some((peer) => peer.subnet.length < subnet.length && containsIp(peer.subnet, address))
    ) {
      return address;
    }
  }
  return undefined;
}
