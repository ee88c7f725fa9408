/** Routes: request builders and a reader (linux/rtnetlink.h). */
import { formatRouteMessage, parseRouteMessage } from 'netlink/dist/rt/structs.js';
import { getU32, putU32 } from 'netlink/dist/structs.js';
import { type Cidr, firstIp, formatCidr, networkOf } from '../inet/cidr.ts';
import { bytesOfIp, type Family, formatIp, type Ip, ipOfBytes } from '../inet/ip.ts';
import { failedWith } from './errors.ts';
import {
  bodyOf,
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from './netlink/message.ts';
import { afOf, familyOfAf, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, type Rtnl } from './netlink/rtnl.ts';

/** The route protocol number by which weft's routes are recognised. */
export const RTPROT_WEFT = 87;
export const RT_TABLE_MAIN = 254;

/** A route. Only what weft sets or needs to see; one next hop. */
export interface Route {
  readonly destination: Cidr;
  /** The output link's index; undefined for multipath, blackhole and the like. */
  readonly index?: number | undefined;
  readonly gateway?: Ip | undefined;
  /** The gateway is taken to be on the link although no route says so (RTNH_F_ONLINK). */
  readonly onlink?: boolean | undefined;
  /** RTPROT_*: who made it. */
  readonly protocol?: number | undefined;
  readonly scope?: 'universe' | 'link' | 'host' | undefined;
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

/** Adds a route, or replaces the one of the same destination, metric and table. */
export const replace = (route: Route): NetlinkRequest =>
  request('set', RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);

/** Removes a route; ESRCH where there is none like it. */
export const remove = (route: Route): NetlinkRequest => request('remove', RTM_DELROUTE, 0, route);

const scopes = { universe: 0, link: 253, host: 254 } as const;
const RTNH_F_ONLINK = 4;

function request(verb: string, type: number, flags: number, route: Route): NetlinkRequest {
  const { destination, gateway } = route;
  const table = route.table ?? RT_TABLE_MAIN;
  const removing = type === RTM_DELROUTE;
  const metrics = {
    ...(route.mtuBytes === undefined ? {} : { mtu: putU32(route.mtuBytes) }),
    ...(route.advmssBytes === undefined ? {} : { advmss: putU32(route.advmssBytes) }),
  };
  const body = bodyOf((out) =>
    formatRouteMessage(
      {
        kind: 'route',
        data: {
          family: afOf(destination.family),
          dstLen: destination.length,
          table: table < 256 ? table : 0,
          protocol: route.protocol ?? (removing ? 0 : RTPROT_WEFT),
          scope: removing && !route.scope ? 255 : scopes[route.scope ?? (gateway ? 'universe' : 'link')],
          type: removing ? 0 : 1,
          flags: route.onlink ? { __unknown: RTNH_F_ONLINK } : {},
        },
        attrs: {
          dst: bytesOfIp(firstIp(destination)),
          table,
          ...(gateway ? { gateway: bytesOfIp(gateway) } : {}),
          ...(route.index === undefined ? {} : { oif: route.index }),
          ...(route.source ? { prefsrc: bytesOfIp(route.source) } : {}),
          ...(route.priority === undefined ? {} : { priority: route.priority }),
          ...(Object.keys(metrics).length ? { metrics } : {}),
        },
      },
      out,
    ),
  );
  return { type, flags, body, attempted: () => `${verb} route ${describeRoute(route)}` };
}

/** `10.244.2.0/24 via 10.244.2.0 dev 7`, for people. */
export function describeRoute(route: Route): string {
  const via = route.gateway ? ` via ${formatIp(route.gateway)}` : '';
  const dev = route.index === undefined ? '' : ` dev ${route.index}`;
  return `${formatCidr(route.destination)}${via}${dev}`;
}

/**
 * The routes of one family, in the main table unless another is named; `protocol` makes the kernel leave
 * out the others.
 */
export function routes(rtnl: Rtnl, which: { family: Family; protocol?: number; table?: number }): Route[] {
  const table = which.table ?? RT_TABLE_MAIN;
  const body = bodyOf((out) =>
    formatRouteMessage(
      {
        kind: 'route',
        data: {
          family: afOf(which.family),
          ...(which.protocol === undefined ? {} : { protocol: which.protocol }),
        },
        attrs: { table },
      },
      out,
    ),
  );
  const attempted = () => `list ${which.family} routes`;
  const messages = dumpTable(rtnl, { type: RTM_GETROUTE, flags: 0, body, attempted });
  return messages.flatMap((message) => routeOf(message.body) ?? []);
}

/** A table comes into being with its first route: before, the kernel answers ENOENT. */
function dumpTable(rtnl: Rtnl, request: NetlinkRequest): NetlinkMessage[] {
  try {
    return rtnl.dump(request);
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Reads an RTM_NEWROUTE or RTM_DELROUTE body; undefined for families weft does not speak. */
export function routeOf(body: Buffer): Route | undefined {
  const { data, attrs } = parseRouteMessage(body);
  const family = familyOfAf(data.family);
  if (!family) return undefined;
  const destination = attrs.dst ? ipOfBytes(attrs.dst) : { family, value: 0n };
  const scope = numberOf(data.scope, { UNIVERSE: 0, SITE: 200, LINK: 253, HOST: 254, NOWHERE: 255 });
  return {
    destination: networkOf(destination, data.dstLen ?? 0),
    index: attrs.oif,
    gateway: attrs.gateway && ipOfBytes(attrs.gateway),
    onlink: ((data.flags as { __unknown?: number } | undefined)?.__unknown ?? 0) % 8 >= RTNH_F_ONLINK,
    protocol: body.readUInt8(5),
    scope: scope === 253 ? 'link' : scope === 254 ? 'host' : 'universe',
    source: attrs.prefsrc && ipOfBytes(attrs.prefsrc),
    priority: attrs.priority,
    mtuBytes: attrs.metrics?.mtu && getU32(attrs.metrics.mtu),
    advmssBytes: attrs.metrics?.advmss && getU32(attrs.metrics.advmss),
    table: attrs.table ?? data.table,
  };
}

const numberOf = (value: number | string | undefined, names: Record<string, number>): number | undefined =>
  typeof value === 'string' ? names[value] : value;
