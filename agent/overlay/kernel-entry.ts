/**
 * Entries as the kernel reports them in dumps and notifications. There are three per peer, so a known entry is
 * recognised by its bytes, and no new object is made.
 */
import { type Cidr, containsCidr } from '../../inet/cidr.ts';
import { fdbEntryOf } from '../../kernel/fdb.ts';
import { NeighbourReader, neighbourOf } from '../../kernel/neighbour.ts';
import { AF_BRIDGE } from '../../kernel/netlink/rtnl.ts';
import { RouteReader, RTPROT_WEFT, routeOf } from '../../kernel/route.ts';
import { type Entry, entryOfRoute } from './entry.ts';

export interface KernelEntry {
  readonly id: string;
  readonly entry: Entry;
  /** Of our route protocol, or permanent. */
  readonly ours: boolean;
  /** A route's protocol number (rtm_protocol). */
  readonly protocol?: number;
}

/** An entry of that id whose object is to stand for the kernel's, where they are the same. */
export type Known = (id: string) => Entry | undefined;

const routes = new RouteReader();
const neighbours = new NeighbourReader();

/** Whether a body of a dump describes exactly that entry, in everything that weft sets. */
export function describesEntry(entry: Entry, body: Buffer): boolean {
  if (entry.kind === 'route') return routes.read(body).protocol === RTPROT_WEFT && routes.is(entry);
  const address = entry.kind === 'fdb' ? entry.destination : entry.address;
  return neighbours.read(body).permanent && neighbours.joins(entry, address);
}

/** An RTM_NEWROUTE or RTM_DELROUTE body; undefined for what does not lead into the network. */
export function kernelRoute(body: Buffer, network: Cidr, known: Known): KernelEntry | undefined {
  const { protocol, key } = routes.read(body);
  const id = `r${key}`;
  const same = known(id);
  if (same?.kind === 'route' && routes.leadsLike(same)) {
    return { id, entry: same, ours: protocol === RTPROT_WEFT, protocol };
  }
  const route = routeOf(body);
  if (!route || !containsCidr(network, route.destination)) return undefined;
  const ours = protocol === RTPROT_WEFT && (route.index !== undefined || route.deadEnd !== undefined);
  return { id, entry: entryOfRoute({ ...route, index: route.index ?? 0 }), ours, protocol };
}

/** An RTM_NEWNEIGH or RTM_DELNEIGH body of a neighbour or a forwarding entry; undefined for what is neither. */
export function kernelNeighbour(body: Buffer, known: Known): KernelEntry | undefined {
  const { index, permanent, addressKey } = neighbours.read(body);
  if (body[0] === AF_BRIDGE) {
    const id = `f${index} ${neighbours.macKey}${addressKey}`;
    const same = known(id);
    if (same) return { id, entry: same, ours: permanent };
    const entry = fdbEntryOf(body);
    return entry && { id, entry: { kind: 'fdb', ...entry }, ours: permanent };
  }
  const id = `n${index} ${addressKey}`;
  const same = known(id);
  if (same?.kind === 'neighbour' && neighbours.joins(same, same.address))
    return { id, entry: same, ours: permanent };
  const neighbour = neighbourOf(body);
  if (!neighbour) return undefined;
  const { address, mac = '' } = neighbour;
  return { id, entry: { kind: 'neighbour', index, address, mac }, ours: permanent };
}
