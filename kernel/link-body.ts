/** Writes the body of a link's message: struct ifinfomsg (linux/rtnetlink.h) and its attributes (linux/if_link.h). */
import { formatAttributes } from './netlink/message.ts';

/** Text ends with a zero byte, a number has 32 bits; what is undefined is left out. */
export type LinkAttributes = readonly (readonly [
  type: number,
  value: string | number | Uint8Array | undefined,
])[];

export function linkBody(
  link: { family?: number; index?: number | undefined; flags?: number; mask?: number },
  attributes: LinkAttributes = [],
): Buffer {
  const info = Buffer.alloc(IFINFO_BYTES);
  info.writeUInt8(link.family ?? 0, 0);
  info.writeInt32LE(link.index ?? 0, 4);
  info.writeUInt32LE(link.flags ?? 0, 8);
  info.writeUInt32LE(link.mask ?? 0, 12);
  return Buffer.concat([info, linkAttributes(attributes)]);
}

/** The attributes alone, to be nested in another. */
export const linkAttributes = (attributes: LinkAttributes): Buffer =>
  formatAttributes(
    attributes.flatMap(([type, value]) => (value === undefined ? [] : [[type, bytesOf(value)] as const])),
  );

function bytesOf(value: string | number | Uint8Array): Uint8Array {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  if (typeof value !== 'number') return value;
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const IFINFO_BYTES = 16;

export const IFF_UP = 0x1;
export const IFF_PROMISC = 0x100;

export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_MASTER = 10;
export const IFLA_PROTINFO = 12;
export const IFLA_LINKINFO = 18;
export const IFLA_IFALIAS = 20;
export const IFLA_AF_SPEC = 26;
export const IFLA_GROUP = 27;
export const IFLA_NET_NS_FD = 28;
export const IFLA_NUM_TX_QUEUES = 31;
export const IFLA_NUM_RX_QUEUES = 32;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
