/** What the choice of the underlay is made from: this host's links, addresses and routes. */
import { formatInterfaceAddress, networkOf } from '../../inet/cidr.ts';
import { bitsOf, type Family, type Ip, sameIp } from '../../inet/ip.ts';
import { addresses, type LinkAddress, RT_SCOPE_UNIVERSE } from '../../kernel/address.ts';
import { type Link, links } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Route, RTPROT_WEFT, scanRoutes, waysOf, wayTo } from '../../kernel/route.ts';
import type { Steps } from '../../kernel/steps.ts';
import { unreachableKind } from '../config/scalars.ts';
import { inSlices } from '../slices.ts';

export interface UnderlayFacts {
  readonly links: readonly Pick<Link, 'index' | 'name' | 'kind' | 'mtuBytes' | 'up' | 'loopback'>[];
  readonly addresses: readonly LinkAddress[];
  /** Of the main table and both families: the default ones, and others, but none to peers. */
  readonly routes: readonly Pick<Route, 'destination' | 'index' | 'gateway' | 'source' | 'priority'>[];
}

export type FactLink = UnderlayFacts['links'][number];
export type FactRoute = UnderlayFacts['routes'][number];

/** A host may have a hundred thousand routes; of those that are no default routes the first are a sample. */
const SAMPLED_ROUTES = 1000;
/** A table that changes while it is read is read again this many times. */
const READS = 3;

/**
 * Reads them from the kernel, in slices. `rtnl`: used by nobody else meanwhile. `towards`: addresses whose route
 * decides; for these the kernel is asked.
 */
export async function underlayFacts(rtnl: Rtnl, towards: readonly Ip[]): Promise<UnderlayFacts> {
  const routes: FactRoute[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) routes.push(...(await inSlices(someRoutes(rtnl, family))));
  routes.push(...towards.flatMap((address) => wayTo(rtnl, address) ?? []));
  return { links: links(rtnl), addresses: addresses(rtnl), routes };
}

/** All default routes, and some of the others; none to peers. */
function* someRoutes(rtnl: Rtnl, family: Family): Steps<FactRoute[]> {
  for (let read = 1; ; read++) {
    const found: FactRoute[] = [];
    const isWhole = yield* scanRoutes(rtnl, { family }, (body) => {
      const isDefault = body[1] === 0;
      if (body[5] === RTPROT_WEFT || (!isDefault && found.length >= SAMPLED_ROUTES)) return;
      found.push(...waysOf(body));
    });
    if (isWhole || read === READS) return found;
  }
}

/** Whether peers could be told this address: usable, and not valid on one link or host only. */
export const isTellable = (own: LinkAddress): boolean =>
  own.scope === RT_SCOPE_UNIVERSE &&
  !own.tentative &&
  !own.deprecated &&
  unreachableKind(own.address) === undefined;

export const ownAddress = (facts: UnderlayFacts, address: Ip): LinkAddress | undefined =>
  facts.addresses.find((own) => sameIp(own.address, address));

export const linkOf = (facts: UnderlayFacts, index: number | undefined): FactLink | undefined =>
  facts.links.find((link) => link.index === index);

/** The route by which the kernel would send to that address: the longest prefix, then the lowest metric. */
export function routeTo(facts: UnderlayFacts, address: Ip): FactRoute | undefined {
  const matching = facts.routes.filter(
    ({ destination, index }) =>
      index !== undefined &&
      destination.family === address.family &&
      networkOf(address, destination.length).base === destination.base,
  );
  return byPreference(matching)[0];
}

/** Routes as the kernel prefers them. */
export const byPreference = (found: readonly FactRoute[]): FactRoute[] =>
  found.toSorted(
    (a, b) => b.destination.length - a.destination.length || (a.priority ?? 0) - (b.priority ?? 0),
  );

/** weft's own VXLAN devices; the underlay is never one of them. */
export const isOwnDevice = (link: Pick<FactLink, 'name'>): boolean => /^weft(-v6)?\.\d+$/.test(link.name);

/** `eth1 (192.168.188.101/24)`. */
export function describeLink(facts: UnderlayFacts, link: FactLink): string {
  const texts = facts.addresses
    .filter(({ index, scope }) => index === link.index && scope === RT_SCOPE_UNIVERSE)
    .map(formatInterfaceAddress);
  return `${link.name} (${texts.length > 0 ? texts.join(', ') : 'no address'})`;
}

/** Whether the address has a network around it: a /32 or /128 has none. */
export const hasNetwork = ({ address, length }: Pick<LinkAddress, 'address' | 'length'>): boolean =>
  length < bitsOf(address.family);
