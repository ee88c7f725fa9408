/**
 * Links whose default route comes from router advertisements. A host that forwards IPv6 ignores advertisements, and the
 * kernel drops the routes that it has from them, unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst;
 * net/ipv6/route.c, rt6_purge_dflt_routers).
 */
import { linkByIndex } from './link.ts';
import type { Rtnl } from './netlink/rtnl.ts';
import { routes } from './route.ts';
import { readSysctl } from './sysctl.ts';

/** rtm_protocol of routes that the kernel, or a daemon for it, has from router advertisements (linux/rtnetlink.h). */
const RTPROT_RA = 9;

/** Names of the links on which accept_ra has to be 2 before IPv6 forwarding is switched on. */
export function linksToKeepAdvertised(rtnl: Rtnl): string[] {
  const advertised = routes(rtnl, { family: 'ipv6', protocol: RTPROT_RA });
  const defaults = advertised.filter(({ destination }) => destination.length === 0);
  const indexes = new Set(defaults.flatMap(({ index }) => index ?? []));
  return [...indexes].flatMap((index) => {
    const name = linkByIndex(rtnl, index)?.name;
    return name !== undefined && readSysctl(acceptRa(name)) === '1' ? [name] : [];
  });
}

export const acceptRa = (link: string): string => `net/ipv6/conf/${link}/accept_ra`;
