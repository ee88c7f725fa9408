/**
 * Drift apart from that of entries (notified-entry.ts): notifications of links, addresses and rules, and of changes
 * that may make another interface the underlay.
 */
import type { Cidr } from '../../inet/cidr.ts';
import { linkNameOf } from '../../kernel/link-message.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import {
  AF_BRIDGE,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
} from '../../kernel/netlink/rtnl.ts';
import type { Trigger } from '../reconcile/trigger.ts';

/** The location of the desired state of the last pass. */
export interface Watched {
  readonly network: Cidr;
  readonly deviceName: string | undefined;
  readonly deviceIndex: number | undefined;
  readonly underlayName: string;
  readonly underlayIndex: number;
  /** Probing the direct way needs a rule. */
  readonly probesDirect: boolean;
}

/** Of the link, or narrower (linux/rtnetlink.h). */
const RT_SCOPE_LINK = 253;

/** Why this notification makes a pass necessary; undefined where it does not. */
export function driftBy(message: NetlinkMessage, watched: Watched): Trigger | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return linkDamage(message, watched);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return addressDamage(message, watched);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      // struct rtmsg: family, length of the destination, ..., table.
      return message.body[1] === 0 ? { reason: 'default route', underlay: true } : undefined;
    case RTM_DELRULE:
      return watched.probesDirect ? { reason: 'rule gone' } : undefined;
    default:
      return undefined;
  }
}

/** By index, or by name: an underlay that comes back has another index. */
function linkDamage(message: NetlinkMessage, watched: Watched): Trigger | undefined {
  if (message.body[0] === AF_BRIDGE) return undefined;
  const index = message.body.readInt32LE(4);
  // A link that goes down loses its routes, and for IPv4 the kernel sends no notification of them.
  if (index === watched.deviceIndex) return { reason: 'device link', reread: true };
  if (index === watched.underlayIndex) return { reason: 'underlay link', reread: true, underlay: true };
  if (message.type === RTM_DELLINK) return undefined;
  const name = linkNameOf(message.body);
  if (name === watched.deviceName) return { reason: 'device link', reread: true };
  return name === watched.underlayName
    ? { reason: 'underlay link', reread: true, underlay: true }
    : undefined;
}

/**
 * On any link, because the underlay may be chosen by the address. Link-local addresses are ignored: they never choose
 * the underlay, and every new pod brings one (struct ifaddrmsg: family, prefix length, flags, scope, index).
 */
function addressDamage(message: NetlinkMessage, watched: Watched): Trigger | undefined {
  const index = message.body.readInt32LE(4);
  // The kernel sends no notification of the routes that an interface loses with its last address.
  const reread = message.type === RTM_DELADDR;
  if (index === watched.deviceIndex) return { reason: 'device address', reread };
  if (index === watched.underlayIndex) return { reason: 'underlay address', reread, underlay: true };
  const scope = message.body.readUInt8(3);
  return scope < RT_SCOPE_LINK ? { reason: 'address', underlay: true } : undefined;
}
