/** The rtnetlink socket (NETLINK_ROUTE) and the constants that its nouns share (linux/rtnetlink.h). */
import type { Family } from '../../inet/ip.ts';
import { NetlinkSocket } from './socket.ts';

/** A socket for links, addresses, routes, neighbours, FDB and qdiscs of one network namespace. */
export type Rtnl = NetlinkSocket;

/** Opens one in the calling thread's network namespace. */
export const openRtnl = (): Rtnl => NetlinkSocket.open(0);

export const AF_UNSPEC = 0;
export const AF_BRIDGE = 7;
/** The kernel's number of an address family (linux/socket.h). */
export const afOf = (family: Family): 2 | 10 => (family === 'ipv4' ? 2 : 10);
export const familyOfAf = (af: number | undefined): Family | undefined =>
  af === 2 ? 'ipv4' : af === 10 ? 'ipv6' : undefined;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;
export const RTM_GETMULTICAST = 58;
export const RTM_NEWNETCONF = 80;
