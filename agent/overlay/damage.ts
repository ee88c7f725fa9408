/**
 * Which notifications concern an overlay: those that contradict what was last asked for. Our own changes are
 * notified too; they agree with the desired state and cost nothing further.
 */
import { parseAttributes } from 'netlink/dist/structs.js';
import { type Cidr, containsCidr } from '../../inet/cidr.ts';
import { fdbEntryOf } from '../../kernel/fdb.ts';
import { linkOf } from '../../kernel/link.ts';
import { neighbourOf } from '../../kernel/neighbour.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import {
  AF_BRIDGE,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
} from '../../kernel/netlink/rtnl.ts';
import { type Route, RT_TABLE_MAIN, RTPROT_WEFT, routeOf } from '../../kernel/route.ts';
import { defaultPriority, type Entry, idOf, sameEntry } from './entry.ts';

/** What was last asked for, and where. */
export interface Watched {
  readonly network: Cidr;
  readonly deviceName: string | undefined;
  readonly deviceIndex: number | undefined;
  readonly underlayName: string;
  readonly underlayIndex: number;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Probing the direct way needs a rule. */
  readonly probesDirect: boolean;
}

const RTM_DELRULE = 33;
const RTM_NEWNETCONF = 80;
const NETCONFA_IFINDEX = 1;
const NETCONFA_FORWARDING = 2;
const NETCONFA_IFINDEX_ALL = -1;

/** Why this notification makes a pass necessary, in a word or two; undefined where it does not. */
export function damageBy(message: NetlinkMessage, watched: Watched): string | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return linkDamage(message, watched);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return linkConcerned(message.body.readInt32LE(4), watched, 'address');
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return neighbourDamage(message, watched);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return routeDamage(message, watched);
    case RTM_DELRULE:
      return watched.probesDirect ? 'rule gone' : undefined;
    case RTM_NEWNETCONF:
      return netconfDamage(message.body, watched);
    default:
      return undefined;
  }
}

function linkConcerned(index: number, watched: Watched, what: string): string | undefined {
  if (index === watched.deviceIndex) return `device ${what}`;
  if (index === watched.underlayIndex) return `underlay ${what}`;
  return undefined;
}

/** By index, or by name: an underlay that comes back has another index. */
function linkDamage(message: NetlinkMessage, watched: Watched): string | undefined {
  if (message.body.readUInt8(0) === AF_BRIDGE) return undefined;
  const known = linkConcerned(message.body.readInt32LE(4), watched, 'link');
  if (known || message.type === RTM_DELLINK) return known;
  const { name } = linkOf(message);
  if (name === watched.deviceName) return 'device link';
  return name === watched.underlayName ? 'underlay link' : undefined;
}

/** struct netconfmsg (linux/netconf.h): forwarding switched off, for all interfaces or one of ours. */
function netconfDamage(body: Buffer, watched: Watched): string | undefined {
  let index: number | undefined;
  let forwarding = 1;
  parseAttributes(body.subarray(4), ({ type, data }) => {
    if (type === NETCONFA_IFINDEX) index = data.readInt32LE(0);
    if (type === NETCONFA_FORWARDING) forwarding = data.readInt32LE(0);
  });
  const ours = [NETCONFA_IFINDEX_ALL, watched.deviceIndex, watched.underlayIndex];
  return forwarding === 0 && ours.includes(index) ? 'forwarding off' : undefined;
}

function neighbourDamage(message: NetlinkMessage, watched: Watched): string | undefined {
  const index = message.body.readInt32LE(4);
  if (index !== watched.deviceIndex) return undefined;
  const fdb = fdbEntryOf(message.body);
  if (fdb) return contradiction({ kind: 'fdb', ...fdb }, fdb.permanent, message, watched);
  const neighbour = neighbourOf(message.body);
  if (!neighbour) return undefined;
  const { address, mac } = neighbour;
  return contradiction(
    { kind: 'neighbour', index, address, mac: mac ?? '' },
    neighbour.permanent,
    message,
    watched,
  );
}

function routeDamage(message: NetlinkMessage, watched: Watched): string | undefined {
  const route = routeOf(message.body);
  if (!route || !containsCidr(watched.network, route.destination)) return undefined;
  const foreign = route.protocol !== RTPROT_WEFT || route.index === undefined;
  if (foreign) return watched.entries.has(idOfRoute(route)) ? 'foreign route' : undefined;
  const entry: Entry = {
    kind: 'route',
    destination: route.destination,
    gateway: route.gateway,
    index: route.index,
    onlink: route.onlink === true,
    mtuBytes: route.mtuBytes,
    priority: route.priority ?? defaultPriority(route.destination),
    table: route.table ?? RT_TABLE_MAIN,
  };
  return contradiction(entry, true, message, watched);
}

const idOfRoute = ({ destination, priority, table }: Route): string =>
  idOf({
    kind: 'route',
    destination,
    gateway: { family: destination.family, value: 0n },
    index: 0,
    onlink: false,
    mtuBytes: undefined,
    priority: priority ?? defaultPriority(destination),
    table: table ?? RT_TABLE_MAIN,
  });

/** Gone although desired, there although not, or there but other than desired. */
function contradiction(
  entry: Entry,
  permanent: boolean,
  message: NetlinkMessage,
  watched: Watched,
): string | undefined {
  const desired = watched.entries.get(idOf(entry));
  const gone = [RTM_DELNEIGH, RTM_DELROUTE].includes(message.type);
  if (gone) return desired ? `${entry.kind} gone` : undefined;
  if (!desired) return permanent ? `stray ${entry.kind}` : undefined;
  return permanent && sameEntry(entry, desired) ? undefined : `${entry.kind} changed`;
}
