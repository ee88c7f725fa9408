/**
 * The kernel entries that make a peer reachable, as values.
 *
 * Through the tunnel a peer costs three, each O(1) however many peers there are:
 *
 *     route      10.244.2.0/24 via 10.244.2.0 dev weft.1 onlink     subnet -> gateway
 *     neighbour  10.244.2.0 -> VTEP MAC                             gateway -> inner MAC
 *     fdb        VTEP MAC -> 192.168.188.102                        inner MAC -> outer address
 *
 * and one on the direct way: `10.244.2.0/24 via 192.168.188.102`.
 *
 * Where the way is chosen by probing (backend `auto`), the tunnel's neighbour and forwarding entry stand
 * whichever way is taken, so that a change of ways is the replacement of one route. Two more routes lead probes
 * to the peer's end of the tunnel: 10.244.2.0/32 on the device, and via the endpoint in a table that only marked
 * packets look up. (The first is needed for more: IPv6 refuses an onlink gateway that it finds on another link.)
 */
import { type Cidr, formatCidr, networkOf } from '../../inet/cidr.ts';
import { bitsOf, formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import * as fdb from '../../kernel/fdb.ts';
import * as neighbour from '../../kernel/neighbour.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import * as route from '../../kernel/route.ts';

export type Entry = RouteEntry | NeighbourEntry | FdbEntry;

export interface RouteEntry {
  readonly kind: 'route';
  readonly destination: Cidr;
  /** Undefined: it leads somewhere. */
  readonly deadEnd?: route.DeadEnd | undefined;
  /** Undefined: the destination itself is on the link. */
  readonly gateway: Ip | undefined;
  readonly index: number;
  readonly onlink: boolean;
  /** Undefined: the link's. */
  readonly mtuBytes: number | undefined;
  /** The kernel's metric; two routes that differ in it are two entries. */
  readonly priority: number;
  readonly table: number;
}

export interface NeighbourEntry {
  readonly kind: 'neighbour';
  readonly index: number;
  readonly address: Ip;
  readonly mac: string;
}

export interface FdbEntry {
  readonly kind: 'fdb';
  readonly index: number;
  readonly mac: string;
  readonly destination: Ip;
}

/** The table of the routes that probes of the direct way take. */
export const DIRECT_TABLE = 8787;

/** The metric that the kernel gives a route without one. */
export const defaultPriority = (destination: Cidr): number => (destination.family === 'ipv4' ? 0 : 1024);

/** A route that has an output link, as an entry. */
export const entryOfRoute = (found: route.Route & { readonly index: number }): RouteEntry => ({
  kind: 'route',
  destination: found.destination,
  ...(found.deadEnd ? { deadEnd: found.deadEnd } : {}),
  gateway: found.gateway,
  index: found.index,
  onlink: found.onlink === true,
  mtuBytes: found.mtuBytes,
  priority: found.priority ?? defaultPriority(found.destination),
  table: found.table ?? route.RT_TABLE_MAIN,
});

/**
 * The kernel's key of an entry: of two entries with one id, only one can exist. Made of bytes, so that it is cheap to
 * compute from netlink messages (kernel-entry.ts); `describeEntry` is for people.
 */
export function idOf(entry: Entry): string {
  switch (entry.kind) {
    case 'route':
      return `r${route.routeKey(entry)}`;
    case 'neighbour':
      return `n${neighbour.neighbourKey(entry)}`;
    case 'fdb':
      return `f${fdb.fdbKey(entry)}`;
  }
}

/** The names of the links that entries are on, by index. */
export type LinkNames = ReadonlyMap<number, string>;

/** An entry in words: `route 10.244.2.0/24 via 10.244.2.0 dev weft.1`. */
export function describeEntry(entry: Entry, names: LinkNames): string {
  const dev = `dev ${names.get(entry.index) ?? '(a removed link)'}`;
  switch (entry.kind) {
    case 'route': {
      if (entry.deadEnd) return `route ${entry.deadEnd} ${formatCidr(entry.destination)}`;
      const via = entry.gateway ? ` via ${formatIp(entry.gateway)}` : '';
      const mtu = entry.mtuBytes === undefined ? '' : ` mtu ${entry.mtuBytes}`;
      const table = entry.table === route.RT_TABLE_MAIN ? '' : ` table ${entry.table}`;
      return `route ${formatCidr(entry.destination)}${via} ${dev}${mtu}${table}`;
    }
    case 'neighbour':
      return `neighbour ${formatIp(entry.address)} at ${entry.mac} ${dev}`;
    case 'fdb':
      return `forwarding ${entry.mac} to ${formatIp(entry.destination)} ${dev}`;
  }
}

/** Whether two entries of one id are the same in everything that weft sets. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.kind === 'route' && b.kind === 'route') {
    if (a.deadEnd || b.deadEnd) return a.deadEnd === b.deadEnd;
    return (
      sameGateway(a.gateway, b.gateway) &&
      a.index === b.index &&
      a.onlink === b.onlink &&
      a.mtuBytes === b.mtuBytes
    );
  }
  if (a.kind === 'neighbour' && b.kind === 'neighbour') return a.mac === b.mac;
  return a.kind === b.kind;
}

const sameGateway = (a: Ip | undefined, b: Ip | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameIp(a, b);

/**
 * The request that puts an entry in place. A route that is not there yet is only ever added, so that a
 * foreign route to the same destination is refused by the kernel (EEXIST) and not overwritten.
 */
export function ensureRequest(entry: Entry, over: Entry | undefined): NetlinkRequest {
  switch (entry.kind) {
    case 'route':
      return over ? route.replace(entry) : route.add(entry);
    case 'neighbour':
      return neighbour.replace(entry);
    case 'fdb':
      return fdb.replace(entry);
  }
}

/**
 * What has to stand while an entry takes another's place. IPv6 refuses an onlink gateway that it finds on another
 * link (net/ipv6/route.c, ip6_route_check_nh_onlink), and a route that leads a subnet elsewhere covers the peer's
 * end of the tunnel in it.
 */
export function scaffoldOf(entry: Entry, over: Entry | undefined): route.Route | undefined {
  if (entry.kind !== 'route' || over?.kind !== 'route' || !entry.onlink || !entry.gateway) return undefined;
  const { family } = entry.destination;
  if (family !== 'ipv6' || over.index === entry.index) return undefined;
  // Before any other route to it.
  return { destination: networkOf(entry.gateway, bitsOf(family)), index: entry.index, priority: 1 };
}

export function removeRequest(entry: Entry): NetlinkRequest {
  switch (entry.kind) {
    case 'route':
      return route.remove({
        destination: entry.destination,
        deadEnd: entry.deadEnd,
        gateway: entry.gateway,
        index: entry.index,
        priority: entry.priority,
        table: entry.table,
        protocol: route.RTPROT_WEFT,
      });
    case 'neighbour':
      return neighbour.remove(entry);
    case 'fdb':
      return fdb.remove(entry);
  }
}
