/** Routes: request builders and a reader (linux/rtnetlink.h). */
import { type Cidr, firstIp, formatCidr } from '../inet/cidr.ts';
import { bytesOfIp, type Family, formatIp, type Ip, ipOfBytes, keyOfIp } from '../inet/ip.ts';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from './address.ts';
import { failedWith } from './errors.ts';
import { AttributeIndex, aligned, BodyWriter } from './netlink/attribute.ts';
import {
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from './netlink/message.ts';
import { afOf, familyOfAf, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, type Rtnl } from './netlink/rtnl.ts';
import type { Steps } from './steps.ts';

/** The route protocol number by which weft's routes are recognised. */
export const RTPROT_WEFT = 87;
export const RT_TABLE_MAIN = 254;

/** Routes that drop packets: with an ICMP error to the sender (`unreachable`), or silently (`blackhole`). */
export type DeadEnd = 'unreachable' | 'blackhole';

/** A route. Only what weft sets or needs to see; one next hop: a route with several is read as several routes. */
export interface Route {
  readonly destination: Cidr;
  /** Undefined: it leads somewhere. */
  readonly deadEnd?: DeadEnd | undefined;
  /** The output link's index; undefined for blackhole and the like (for IPv6 the kernel shows loopback's). */
  readonly index?: number | undefined;
  readonly gateway?: Ip | undefined;
  /** The gateway is taken to be on the link although no route says so (RTNH_F_ONLINK). */
  readonly onlink?: boolean | undefined;
  /** RTPROT_*: who made it. */
  readonly protocol?: number | undefined;
  /** RT_SCOPE_*; in a request without one: universe where there is a gateway, else the link's. */
  readonly scope?: number | undefined;
  readonly source?: Ip | undefined;
  /** Metric; lower is preferred. */
  readonly priority?: number | undefined;
  readonly mtuBytes?: number | undefined;
  /** Largest TCP segment announced (RTAX_ADVMSS). */
  readonly advmssBytes?: number | undefined;
  readonly table?: number | undefined;
}

/** Adds a route; EEXIST where one with this destination, metric and table exists. */
export const add = (route: Route): NetlinkRequest =>
  request('add', RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);

/**
 * Adds a route besides those of the same destination, metric and table: for IPv4 it comes first, for IPv6 they share
 * the load (`ip route prepend`). EEXIST where one goes the same way.
 */
export const addBesides = (route: Route): NetlinkRequest => request('add', RTM_NEWROUTE, NLM_F_CREATE, route);

/** Adds a route, or replaces the one of the same destination, metric and table. */
export const replace = (route: Route): NetlinkRequest =>
  request('set', RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);

/** Removes a route; ESRCH where there is none like it. */
export const remove = (route: Route): NetlinkRequest => request('remove', RTM_DELROUTE, 0, route);

const RT_SCOPE_NOWHERE = 255;
const RTN_UNICAST = 1;
/** RTN_*. */
const deadEnds: Readonly<Record<DeadEnd, number>> = { blackhole: 6, unreachable: 7 };
/** Answers with the entry of the table, not with a route to the address alone. */
const RTM_F_FIB_MATCH = 0x2000;
const RTNH_F_ONLINK = 4;
/** struct rtmsg. */
const HEADER_BYTES = 12;
/** struct rtnexthop. */
const HOP_HEADER_BYTES = 8;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTAX_MTU = 2;
const RTAX_ADVMSS = 8;

const out = new BodyWriter();

function request(verb: string, type: number, flags: number, route: Route): NetlinkRequest {
  const { destination, gateway, mtuBytes, advmssBytes } = route;
  const table = route.table ?? RT_TABLE_MAIN;
  const removing = type === RTM_DELROUTE;
  const header = out.begin(HEADER_BYTES);
  header[0] = afOf(destination.family);
  header[1] = destination.length;
  header[4] = table < 256 ? table : 0;
  header[5] = route.protocol ?? (removing ? 0 : RTPROT_WEFT);
  const { deadEnd } = route;
  const wide = gateway !== undefined || deadEnd !== undefined;
  header[6] = route.scope ?? (removing ? RT_SCOPE_NOWHERE : wide ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  header[7] = deadEnd ? deadEnds[deadEnd] : removing ? 0 : RTN_UNICAST;
  header.writeUInt32LE(route.onlink ? RTNH_F_ONLINK : 0, 8);
  out.attribute(RTA_DST, bytesOfIp(firstIp(destination)));
  out.u32(RTA_TABLE, table);
  if (gateway) out.attribute(RTA_GATEWAY, bytesOfIp(gateway));
  if (!deadEnd) out.u32(RTA_OIF, route.index);
  if (route.source) out.attribute(RTA_PREFSRC, bytesOfIp(route.source));
  out.u32(RTA_PRIORITY, route.priority);
  if (mtuBytes !== undefined || advmssBytes !== undefined) {
    out.nested(RTA_METRICS, () => out.u32(RTAX_MTU, mtuBytes).u32(RTAX_ADVMSS, advmssBytes));
  }
  return { type, flags, body: out.finish(), attempted: () => `${verb} route ${describeRoute(route)}` };
}

/** `10.244.2.0/24 via 10.244.2.0 dev 7`, for people. */
export function describeRoute(route: Route): string {
  const via = route.gateway ? ` via ${formatIp(route.gateway)}` : '';
  const dev = route.index === undefined || route.deadEnd ? '' : ` dev ${route.index}`;
  return `${route.deadEnd ? `${route.deadEnd} ` : ''}${formatCidr(route.destination)}${via}${dev}`;
}

/** Routes of one family, in the main table unless another is named; of one protocol, if it is named. */
export interface WhichRoutes {
  readonly family: Family;
  readonly protocol?: number;
  readonly table?: number;
}

/** The kernel leaves out the others. `except`: nor those of this protocol, of which there may be thousands. */
export function routes(rtnl: Rtnl, which: WhichRoutes & { readonly except?: number }): Route[] {
  const messages = dumpTable(rtnl, listing(which), (body) => body[5] !== which.except);
  return messages.flatMap(({ body }) => waysOf(body));
}

/** The same for thousands: `rtnl.scan`, with nothing in a table that there is not. */
export function* scanRoutes(rtnl: Rtnl, which: WhichRoutes, onBody: (body: Buffer) => void): Steps<boolean> {
  try {
    return yield* rtnl.scan(listing(which), onBody);
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return true;
    throw error;
  }
}

function listing(which: WhichRoutes): NetlinkRequest {
  const header = out.begin(HEADER_BYTES);
  header[0] = afOf(which.family);
  header[5] = which.protocol ?? 0;
  const body = out.u32(RTA_TABLE, which.table ?? RT_TABLE_MAIN).finish();
  return { type: RTM_GETROUTE, flags: 0, body, attempted: () => `list ${which.family} routes` };
}

/** The kernel's present route to an address, as a route to that address alone; undefined where there is none. */
export const wayTo = (rtnl: Rtnl, address: Ip): Route | undefined => lookUp(rtnl, address, 0);

/**
 * The table entry that the kernel would use for an address now; undefined where there is none or, for IPv4, where it
 * drops packets.
 */
export const entryFor = (rtnl: Rtnl, address: Ip): Route | undefined =>
  lookUp(rtnl, address, RTM_F_FIB_MATCH);

function lookUp(rtnl: Rtnl, address: Ip, flags: number): Route | undefined {
  const bytes = bytesOfIp(address);
  const header = out.begin(HEADER_BYTES);
  header[0] = afOf(address.family);
  header[1] = bytes.length * 8;
  header.writeUInt32LE(flags, 8);
  const body = out.attribute(RTA_DST, bytes).finish();
  const asked = {
    type: RTM_GETROUTE,
    flags: 0,
    body,
    attempted: () => `find the way to ${formatIp(address)}`,
  };
  const { outcomes, replies } = rtnl.exchange([asked]);
  const [refusal] = outcomes;
  // Also for routes that say so: unreachable, blackhole, prohibit.
  if (failedWith(refusal, 'ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES')) return undefined;
  if (refusal) throw refusal;
  const [reply] = replies;
  return reply && routeOf(reply.body);
}

/** A table comes into being with its first route: before, the kernel answers ENOENT. */
function dumpTable(
  rtnl: Rtnl,
  request: NetlinkRequest,
  isWanted: (body: Buffer) => boolean,
): NetlinkMessage[] {
  try {
    return rtnl.dump(request, isWanted);
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return [];
    throw error;
  }
}

const found = new AttributeIndex();
const metrics = new AttributeIndex();

/** Reads an RTM_NEWROUTE or RTM_DELROUTE body; undefined for address families that weft does not support. */
export function routeOf(body: Buffer): Route | undefined {
  const family = familyOfAf(body[0]);
  if (!family) return undefined;
  found.read(body, HEADER_BYTES);
  const destination = ipIn(found, RTA_DST) ?? { family, value: 0n };
  const nested = found.span(RTA_METRICS);
  if (nested) metrics.read(body, ...nested);
  return {
    destination: { family, base: destination.value, length: body[1] ?? 0 },
    deadEnd: deadEndOf(body),
    index: found.u32(RTA_OIF),
    gateway: ipIn(found, RTA_GATEWAY),
    onlink: (body.readUInt32LE(8) & RTNH_F_ONLINK) !== 0,
    protocol: body[5],
    scope: body[6],
    source: ipIn(found, RTA_PREFSRC),
    priority: found.u32(RTA_PRIORITY),
    mtuBytes: nested && metrics.u32(RTAX_MTU),
    advmssBytes: nested && metrics.u32(RTAX_ADVMSS),
    table: found.u32(RTA_TABLE) ?? body[4],
  };
}

const deadEndOf = (body: Buffer): DeadEnd | undefined =>
  (['unreachable', 'blackhole'] as const).find((kind) => deadEnds[kind] === body[7]);

/** The routes that a body stands for: one for each of its next hops. */
export function waysOf(body: Buffer): Route[] {
  const route = routeOf(body);
  if (!route) return [];
  const hops = found.span(RTA_MULTIPATH);
  return hops ? [...hopsIn(body, hops)].map((hop) => ({ ...route, ...hop })) : [route];
}

const hop = new AttributeIndex();

function* hopsIn(body: Buffer, [start, end]: readonly [number, number]): Generator<Partial<Route>> {
  for (let at = start; at + HOP_HEADER_BYTES <= end; ) {
    const length = body.readUInt16LE(at);
    if (length < HOP_HEADER_BYTES) return;
    hop.read(body, at + HOP_HEADER_BYTES, at + length);
    const onlink = (body.readUInt8(at + 2) & RTNH_F_ONLINK) !== 0;
    yield { index: body.readInt32LE(at + 4), gateway: ipIn(hop, RTA_GATEWAY), onlink };
    at += aligned(length);
  }
}

/** A body of routes read in place, for callers that read thousands of them; valid until the next `read`. */
export class RouteReader {
  readonly #found = new AttributeIndex();
  readonly #metrics = new AttributeIndex();
  #body: Buffer = Buffer.alloc(HEADER_BYTES);

  read(body: Buffer): this {
    this.#body = body;
    this.#found.read(body, HEADER_BYTES);
    return this;
  }

  /** RTPROT_*. */
  get protocol(): number {
    return this.#body[5] ?? 0;
  }

  /** As `routeKey` has it. */
  get key(): string {
    return `${this.#body[1]} ${this.#found.u32(RTA_PRIORITY) ?? 0} ${this.#table} ${this.#found.key(RTA_DST)}`;
  }

  /** Whether it is that route, and leads where that one does. */
  is(
    route: Pick<
      Route,
      'destination' | 'priority' | 'table' | 'gateway' | 'index' | 'onlink' | 'mtuBytes' | 'deadEnd'
    >,
  ): boolean {
    const { family, base, length } = route.destination;
    return (
      this.#body[1] === length &&
      this.#table === (route.table ?? RT_TABLE_MAIN) &&
      (this.#found.u32(RTA_PRIORITY) ?? 0) === (route.priority ?? 0) &&
      this.#found.holdsIp(RTA_DST, { family, value: base }) &&
      this.leadsLike(route)
    );
  }

  get #table(): number | undefined {
    return this.#found.u32(RTA_TABLE) ?? this.#body[4];
  }

  /** Whether it leads where that one does: gateway, link, MTU. */
  leadsLike(route: Pick<Route, 'gateway' | 'index' | 'onlink' | 'mtuBytes' | 'deadEnd'>): boolean {
    if (route.deadEnd) return this.#body[7] === deadEnds[route.deadEnd];
    const nested = this.#found.span(RTA_METRICS);
    const mtuBytes = nested && this.#metrics.read(this.#body, ...nested).u32(RTAX_MTU);
    return (
      this.#body[7] === RTN_UNICAST &&
      mtuBytes === route.mtuBytes &&
      this.#found.u32(RTA_OIF) === route.index &&
      ((this.#body.readUInt32LE(8) & RTNH_F_ONLINK) !== 0) === (route.onlink === true) &&
      this.#found.holdsIp(RTA_GATEWAY, route.gateway)
    );
  }
}

/** The kernel's key of a route. Not for messages. */
export const routeKey = (route: Pick<Route, 'destination' | 'priority' | 'table'>): string =>
  `${route.destination.length} ${route.priority ?? 0} ${route.table ?? RT_TABLE_MAIN} ` +
  keyOfIp(firstIp(route.destination));

function ipIn(attributes: AttributeIndex, type: number): Ip | undefined {
  const bytes = attributes.bytes(type);
  return bytes && ipOfBytes(bytes);
}
