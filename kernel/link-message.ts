/** Single facts of a link's message, read in place, because a watcher of one link is notified of all links. */
import { formatMac } from '../inet/mac.ts';
import { AttributeIndex } from './netlink/attribute.ts';
import type { NetlinkMessage } from './netlink/message.ts';

const found = new AttributeIndex();

/** The bridge port state (BR_STATE_*) in a link's message. */
export function portStateOf({ body }: NetlinkMessage): number | undefined {
  const info = found.read(body, IFINFO_BYTES).span(IFLA_LINKINFO);
  const port = info && found.read(body, ...info).span(IFLA_INFO_SLAVE_DATA);
  return port && found.read(body, ...port).bytes(IFLA_BRPORT_STATE)?.[0];
}

export const BR_STATE_FORWARDING = 3;

/**
 * True if a link's message says that it carries packets: that it is up, or that nothing was ever said of its
 * carrier (`netif_oper_up`, linux/netdevice.h; IF_OPER_*, linux/if.h).
 */
export function isOperational({ body }: NetlinkMessage): boolean {
  const state = found.read(body, IFINFO_BYTES).bytes(IFLA_OPERSTATE)?.[0];
  return state === IF_OPER_UP || state === IF_OPER_UNKNOWN;
}

/** The name in an RTM_NEWLINK or RTM_DELLINK body. */
export function linkNameOf(body: Buffer): string | undefined {
  return found.read(body, IFINFO_BYTES).bytes(IFLA_IFNAME)?.toString('latin1').replace(/\0$/, '');
}

/** The facts of a link that a watcher needs. */
export function linkStateOf(body: Buffer): {
  kind: string | undefined;
  up: boolean;
  mac: string | undefined;
} {
  found.read(body, IFINFO_BYTES);
  const address = found.bytes(IFLA_ADDRESS);
  const mac = address?.length === 6 ? formatMac(address) : undefined;
  const info = found.span(IFLA_LINKINFO);
  const kind =
    info &&
    found
      .read(body, ...info)
      .bytes(IFLA_INFO_KIND)
      ?.toString('latin1');
  return { kind: kind?.replace(/\0$/, ''), up: (body.readUInt32LE(8) & IFF_UP) !== 0, mac };
}

/** struct ifinfomsg. */
const IFINFO_BYTES = 16;
const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_BRPORT_STATE = 1;
const IF_OPER_UNKNOWN = 0;
const IF_OPER_UP = 6;
