/**
 * Links: what they are, how they are read, changed and removed (linux/if_link.h, node-netlink's codecs). new-link.ts
 * makes them; link-message.ts reads what is notified of many.
 */

import * as ifla from 'netlink/dist/rt/ifla.js';
import { parseLinkMessage } from 'netlink/dist/rt/structs.js';
import { getU8, getU16be, getU32, parseAttributes, putU8 } from 'netlink/dist/structs.js';
import { type Family, type Ip, ipOfBytes } from '../inet/ip.ts';
import { bytesOfMac, formatMac } from '../inet/mac.ts';
import { failedWith } from './errors.ts';
import {
  IFF_PROMISC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_PROTINFO,
  linkAttributes,
  linkBody,
} from './link-body.ts';
import type { NetlinkMessage, NetlinkRequest } from './netlink/message.ts';
import {
  AF_BRIDGE,
  afOf,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
  type Rtnl,
} from './netlink/rtnl.ts';

/** A link as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, `vxlan` …; undefined for hardware. */
  readonly kind: string | undefined;
  readonly mac: string | undefined;
  readonly mtuBytes: number;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  readonly loopback: boolean;
  /** Has a carrier (IFF_LOWER_UP). */
  readonly carrier: boolean;
  readonly promiscuous: boolean;
  readonly master: number | undefined;
  /** For a veth its peer's index (in the namespace `linkNetnsid`), for a VXLAN device its parent's. */
  readonly parent: number | undefined;
  /** What this namespace calls the one of the peer or parent; undefined where that is the same. */
  readonly linkNetnsid: number | undefined;
  readonly alias: string | undefined;
  readonly group: number;
  readonly vxlan: VxlanAttributes | undefined;
  readonly port: BridgePort | undefined;
}

/** What distinguishes one VXLAN device from another; cannot be changed once it exists. */
export interface VxlanAttributes {
  readonly vni: number;
  readonly port: number;
  /** The underlay interface's index; 0 where it was given none. */
  readonly parent: number;
  readonly local: Ip | undefined;
  readonly learning: boolean;
  readonly gbp: boolean;
}

/** A link's properties as a bridge's port. */
export interface BridgePort {
  /** BR_STATE_*: 3 is forwarding (linux/if_bridge.h). */
  readonly state: number;
  readonly hairpin: boolean;
  readonly isolated: boolean;
}

/** What `set` can change. */
export interface LinkChange {
  index: number;
  up?: boolean;
  promiscuous?: boolean;
  name?: string;
  mac?: string;
  mtuBytes?: number;
  /** A bridge's index; 0 takes the link off its bridge. */
  master?: number;
  alias?: string;
  group?: number;
  /**
   * IPv4 device settings by number (linux/ip.h, IPV4_DEVCONF_*), as `net.ipv4.conf.<device>.*` would
   * set them, without a write to /proc.
   */
  ipv4Conf?: ReadonlyMap<number, number>;
  /** How IPv6 link-local addresses are made; 1 is none (linux/if_link.h, IN6_ADDR_GEN_MODE_*). */
  ipv6AddrGenMode?: number;
}

/** `net.ipv4.conf.*.arp_notify` (linux/ip.h). */
export const IPV4_DEVCONF_ARP_NOTIFY = 22;

/** Changes a link that exists. */
export function set(change: LinkChange): NetlinkRequest {
  const flags = (change.up ? IFF_UP : 0) | (change.promiscuous ? IFF_PROMISC : 0);
  const mask = (change.up === undefined ? 0 : IFF_UP) | (change.promiscuous === undefined ? 0 : IFF_PROMISC);
  const body = linkBody({ index: change.index, flags, mask }, [
    [IFLA_IFNAME, change.name],
    [IFLA_ADDRESS, change.mac === undefined ? undefined : bytesOfMac(change.mac)],
    [IFLA_MTU, change.mtuBytes],
    [IFLA_MASTER, change.master],
    [IFLA_IFALIAS, change.alias],
    [IFLA_GROUP, change.group],
    [IFLA_AF_SPEC, familySettings(change)],
  ]);
  return { type: RTM_SETLINK, flags: 0, body, attempted: () => `change link ${change.index}` };
}

/** IFLA_AF_SPEC: per family, what else only /proc/sys could set. */
function familySettings({ ipv4Conf, ipv6AddrGenMode }: LinkChange): Buffer | undefined {
  if (!ipv4Conf && ipv6AddrGenMode === undefined) return undefined;
  return linkAttributes([
    [
      afOf('ipv4'),
      ipv4Conf && linkAttributes([[IFLA_INET_CONF | NLA_F_NESTED, linkAttributes([...ipv4Conf])]]),
    ],
    [
      afOf('ipv6'),
      ipv6AddrGenMode === undefined
        ? undefined
        : linkAttributes([[IFLA_INET6_ADDR_GEN_MODE, putU8(ipv6AddrGenMode)]]),
    ],
  ]);
}

/** Changes a bridge port's properties (AF_BRIDGE, IFLA_PROTINFO). */
export function setPort(change: { index: number; hairpin?: boolean; isolated?: boolean }): NetlinkRequest {
  const settings = linkAttributes([
    [IFLA_BRPORT_MODE, change.hairpin === undefined ? undefined : putU8(change.hairpin ? 1 : 0)],
    [IFLA_BRPORT_ISOLATED, change.isolated === undefined ? undefined : putU8(change.isolated ? 1 : 0)],
  ]);
  const body = linkBody({ family: AF_BRIDGE, index: change.index }, [
    [IFLA_PROTINFO | NLA_F_NESTED, settings],
  ]);
  return { type: RTM_SETLINK, flags: 0, body, attempted: () => `change bridge port ${change.index}` };
}

/** Removes one link, or every link of a group. Blocks for an RCU grace period (13-25 ms). */
export function remove(which: { index: number } | { group: number }): NetlinkRequest {
  const body = 'index' in which ? linkBody(which) : linkBody({}, [[IFLA_GROUP, which.group]]);
  const attempted = 'index' in which ? `remove link ${which.index}` : `remove link group ${which.group}`;
  return { type: RTM_DELLINK, flags: 0, body, attempted: () => attempted };
}

/** Every link of the namespace. */
export function links(rtnl: Rtnl): Link[] {
  const request = getLink({}, 'list links');
  return rtnl.dump(request).map(linkOf);
}

export const linkByName = (rtnl: Rtnl, name: string): Link | undefined =>
  oneLink(rtnl, getLink({ name }, `look up link ${name}`));

export const linkByIndex = (rtnl: Rtnl, index: number): Link | undefined => oneLink(rtnl, get(index));

function oneLink(rtnl: Rtnl, request: NetlinkRequest): Link | undefined {
  const { outcomes, replies } = rtnl.exchange([request]);
  if (failedWith(outcomes[0], 'ENODEV')) return undefined;
  if (outcomes[0]) throw outcomes[0];
  const reply = replies.find((message) => message.type === RTM_NEWLINK);
  return reply && linkOf(reply);
}

/**
 * Asks for a link. The answer can be told from `portStateOf`; and the kernel first takes note of a carrier that
 * came up a moment ago, which it would else leave to a work queue (`rtnl_getlink`, since Linux 6.8).
 */
export const get = (index: number): NetlinkRequest => getLink({ index }, `look up link ${index}`);

function getLink(which: { name?: string; index?: number }, attempted: string): NetlinkRequest {
  const body = linkBody(which, [[IFLA_IFNAME, which.name]]);
  return { type: RTM_GETLINK, flags: 0, body, attempted: () => attempted };
}

/** Reads an RTM_NEWLINK or RTM_DELLINK message. */
export function linkOf(message: NetlinkMessage): Link {
  const { data, attrs } = parseLinkMessage(message.body);
  const info = attrs.linkinfo ? ifla.parseInfo(attrs.linkinfo) : {};
  const flags = data.flags ?? {};
  return {
    index: data.index ?? 0,
    name: attrs.ifname ?? '',
    kind: info.kind,
    mac: attrs.address?.length === 6 ? formatMac(attrs.address) : undefined,
    mtuBytes: attrs.mtu ?? 0,
    up: flags.up === true,
    loopback: flags.loopback === true,
    carrier: flags.lowerUp === true,
    promiscuous: flags.promisc === true,
    master: attrs.master,
    parent: attrs.link ? getU32(attrs.link) : undefined,
    linkNetnsid: attrs.linkNetnsid,
    alias: attrs.ifalias,
    group: attrs.group ?? 0,
    vxlan: info.kind === 'vxlan' && info.data ? vxlanOf(info.data) : undefined,
    port: info.slaveKind === 'bridge' && info.slaveData ? portOf(info.slaveData) : undefined,
  };
}

function vxlanOf(data: Buffer): VxlanAttributes {
  const v = ifla.parseVxlan(data);
  const local = v.local ?? v.local6;
  return {
    vni: v.id ?? 0,
    port: v.port ? getU16be(v.port) : 0,
    parent: v.link ?? 0,
    local: local ? ipOfBytes(local) : undefined,
    learning: v.learning === 1,
    gbp: v.gbp === true,
  };
}

function portOf(data: Buffer): BridgePort {
  const port = { state: 0, hairpin: false, isolated: false };
  parseAttributes(data, ({ type, data: value }) => {
    if (type === IFLA_BRPORT_STATE) port.state = getU8(value);
    if (type === IFLA_BRPORT_MODE) port.hairpin = getU8(value) === 1;
    if (type === IFLA_BRPORT_ISOLATED) port.isolated = getU8(value) === 1;
  });
  return port;
}

/** The length an IP header and the encapsulation around it cost: VXLAN over this family of underlay. */
export const vxlanOverheadBytes = (underlay: Family): 50 | 70 => (underlay === 'ipv4' ? 50 : 70);

const NLA_F_NESTED = 0x8000;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4;
const IFLA_BRPORT_ISOLATED = 33;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
