/** Neighbour entries (ARP and NDP): request builders and a reader (linux/neighbour.h). */
import { bytesOfIp, type Family, formatIp, type Ip, ipOfBytes, keyOfIp } from '../inet/ip.ts';
import { bytesOfMac, formatMac } from '../inet/mac.ts';
import { AttributeIndex, BodyWriter } from './netlink/attribute.ts';
import { type NetlinkRequest, NLM_F_CREATE, NLM_F_REPLACE } from './netlink/message.ts';
import { afOf, familyOfAf, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, type Rtnl } from './netlink/rtnl.ts';
import type { Steps } from './steps.ts';

export interface Neighbour {
  readonly index: number;
  readonly address: Ip;
  readonly mac: string | undefined;
  /** NUD_PERMANENT: added by a program; the kernel neither resolves it nor removes it. */
  readonly permanent: boolean;
}

/** Sets a permanent entry, and replaces an existing one. */
export const replace = (entry: { index: number; address: Ip; mac: string }): NetlinkRequest =>
  request('set', RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);

/** Removes an entry, learned or permanent; ENOENT where there is none. */
export const remove = (entry: { index: number; address: Ip }): NetlinkRequest =>
  request('remove', RTM_DELNEIGH, 0, entry);

/** struct ndmsg, here and in fdb.ts. */
export const ND_HEADER_BYTES = 12;
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;
export const NUD_PERMANENT = 0x80;

const out = new BodyWriter();
const found = new AttributeIndex();

function request(
  verb: string,
  type: number,
  flags: number,
  entry: { index: number; address: Ip; mac?: string },
): NetlinkRequest {
  const header = out.begin(ND_HEADER_BYTES);
  header[0] = afOf(entry.address.family);
  header.writeInt32LE(entry.index, 4);
  header.writeUInt16LE(entry.mac === undefined ? 0 : NUD_PERMANENT, 8);
  out.attribute(NDA_DST, bytesOfIp(entry.address));
  if (entry.mac !== undefined) out.attribute(NDA_LLADDR, bytesOfMac(entry.mac));
  return {
    type,
    flags,
    body: out.finish(),
    attempted: () => `${verb} neighbour ${formatIp(entry.address)} on link ${entry.index}`,
  };
}

/** The entries of one family, on one link if it is named. */
export function neighbours(rtnl: Rtnl, which: { family: Family; index?: number }): Neighbour[] {
  return rtnl.dump(listing(which)).flatMap((message) => neighbourOf(message.body) ?? []);
}

/** The same for thousands: `rtnl.scan`. */
export const scanNeighbours = (
  rtnl: Rtnl,
  which: { family: Family; index?: number },
  onBody: (body: Buffer) => void,
): Steps<boolean> => rtnl.scan(listing(which), onBody);

function listing(which: { family: Family; index?: number }): NetlinkRequest {
  out.begin(ND_HEADER_BYTES)[0] = afOf(which.family);
  const body = out.u32(NDA_IFINDEX, which.index).finish();
  return { type: RTM_GETNEIGH, flags: 0, body, attempted: () => `list ${which.family} neighbours` };
}

/** Reads an RTM_NEWNEIGH or RTM_DELNEIGH body; undefined for what is no ARP or NDP entry. */
export function neighbourOf(body: Buffer): Neighbour | undefined {
  if (!familyOfAf(body[0])) return undefined;
  found.read(body, ND_HEADER_BYTES);
  const address = found.bytes(NDA_DST);
  if (!address) return undefined;
  const mac = found.bytes(NDA_LLADDR);
  return {
    index: body.readInt32LE(4),
    address: ipOfBytes(address),
    mac: mac?.length === 6 ? formatMac(mac) : undefined,
    permanent: (body.readUInt16LE(8) & NUD_PERMANENT) !== 0,
  };
}

/**
 * A body of neighbours or of forwarding entries (fdb.ts) read in place, for callers that read thousands of them; valid
 * until the next `read`.
 */
export class NeighbourReader {
  readonly #found = new AttributeIndex();
  #body: Buffer = Buffer.alloc(ND_HEADER_BYTES);

  read(body: Buffer): this {
    this.#body = body;
    this.#found.read(body, ND_HEADER_BYTES);
    return this;
  }

  get index(): number {
    return this.#body.readInt32LE(4);
  }

  get permanent(): boolean {
    return (this.#body.readUInt16LE(8) & NUD_PERMANENT) !== 0;
  }

  /** Whether it is on that link and between these two: for a forwarding entry the address is its destination. */
  joins(entry: { readonly index: number; readonly mac: string }, address: Ip): boolean {
    return (
      this.index === entry.index &&
      this.#found.holdsIp(NDA_DST, address) &&
      this.#found.holdsMac(NDA_LLADDR, entry.mac)
    );
  }

  /** The bytes of the address, and of the MAC, as strings of as many characters. */
  get addressKey(): string {
    return this.#found.key(NDA_DST);
  }

  get macKey(): string {
    return this.#found.key(NDA_LLADDR);
  }
}

/** The kernel's key of a neighbour entry. Not for messages. */
export const neighbourKey = ({ index, address }: Pick<Neighbour, 'index' | 'address'>): string =>
  `${index} ${keyOfIp(address)}`;
