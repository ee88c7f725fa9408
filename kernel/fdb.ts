/**
 * Forwarding entries of a VXLAN device (linux/neighbour.h, family AF_BRIDGE): inner MAC -> outer address.
 * An entry is identified by its MAC *and* its destination: two destinations for one MAC are two entries, so a
 * destination is changed by NLM_F_REPLACE, never by adding.
 */
import { bytesOfIp, formatIp, type Ip, ipOfBytes, keyOfIp } from '../inet/ip.ts';
import { bytesOfMac, formatMac, keyOfMac } from '../inet/mac.ts';
import { ND_HEADER_BYTES, NDA_DST, NDA_LLADDR, NUD_PERMANENT } from './neighbour.ts';
import { AttributeIndex, BodyWriter } from './netlink/attribute.ts';
import { type NetlinkRequest, NLM_F_CREATE, NLM_F_REPLACE } from './netlink/message.ts';
import { AF_BRIDGE, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, type Rtnl } from './netlink/rtnl.ts';
import type { Steps } from './steps.ts';

export interface FdbEntry {
  readonly index: number;
  readonly mac: string;
  /** The tunnel endpoint that frames for the MAC are sent to. */
  readonly destination: Ip;
  readonly permanent: boolean;
}

type Entry = Pick<FdbEntry, 'index' | 'mac' | 'destination'>;

/** Sets the destination of a MAC, permanently. */
export const replace = (entry: Entry): NetlinkRequest =>
  request('set', RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);

/** Removes an entry; ENOENT where there is none. */
export const remove = (entry: Entry): NetlinkRequest => request('remove', RTM_DELNEIGH, 0, entry);

const NTF_SELF = 2;
const NTF_MASTER = 4;
const NTF_STICKY = 0x40;
/** NUD_NOARP: the bridge never ages the entry. */
const NUD_NOARP = 0x40;
const NDA_MASTER = 9;

/** A MAC that a bridge forwards to one of its ports only, whichever port frames with that source arrive at. */
export interface HeldMac {
  /** The port's index. */
  readonly port: number;
  readonly mac: string;
}

/**
 * Binds a MAC to a bridge port: a static and sticky entry. A static entry alone follows the frames to another port
 * (net/bridge/br_fdb.c, br_fdb_update). The entry goes with the port.
 */
export function hold({ port, mac }: HeldMac): NetlinkRequest {
  const header = out.begin(ND_HEADER_BYTES);
  header[0] = AF_BRIDGE;
  header.writeInt32LE(port, 4);
  header.writeUInt16LE(NUD_NOARP, 8);
  header[10] = NTF_MASTER | NTF_STICKY;
  out.attribute(NDA_LLADDR, bytesOfMac(mac));
  return {
    type: RTM_NEWNEIGH,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: out.finish(),
    attempted: () => `bind ${mac} to bridge port ${port}`,
  };
}

/** The MACs that a bridge holds to its ports. */
export function heldMacs(rtnl: Rtnl, bridge: number): HeldMac[] {
  const header = out.begin(ND_HEADER_BYTES);
  header[0] = AF_BRIDGE;
  out.u32(NDA_MASTER, bridge);
  const attempted = () => `list forwarding entries of bridge ${bridge}`;
  const messages = rtnl.dump({ type: RTM_GETNEIGH, flags: 0, body: out.finish(), attempted });
  return messages.flatMap(({ body }) => {
    const mac = found.read(body, ND_HEADER_BYTES).bytes(NDA_LLADDR);
    const isHeld = body[0] === AF_BRIDGE && ((body[10] ?? 0) & NTF_STICKY) !== 0;
    return isHeld && mac?.length === 6 ? { port: body.readInt32LE(4), mac: formatMac(mac) } : [];
  });
}

const out = new BodyWriter();
const found = new AttributeIndex();

function request(verb: string, type: number, flags: number, entry: Entry): NetlinkRequest {
  const header = out.begin(ND_HEADER_BYTES);
  header[0] = AF_BRIDGE;
  header.writeInt32LE(entry.index, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  header[10] = NTF_SELF;
  out.attribute(NDA_DST, bytesOfIp(entry.destination)).attribute(NDA_LLADDR, bytesOfMac(entry.mac));
  return {
    type,
    flags,
    body: out.finish(),
    attempted: () =>
      `${verb} forwarding entry ${entry.mac} -> ${formatIp(entry.destination)} on link ${entry.index}`,
  };
}

/** The entries of one VXLAN device that have a destination. */
export function fdbEntries(rtnl: Rtnl, index: number): FdbEntry[] {
  return rtnl.dump(listing(index)).flatMap((message) => fdbEntryOf(message.body) ?? []);
}

/** The same for thousands: `rtnl.scan`. */
export const scanFdb = (rtnl: Rtnl, index: number, onBody: (body: Buffer) => void): Steps<boolean> =>
  rtnl.scan(listing(index), onBody);

function listing(index: number): NetlinkRequest {
  const header = out.begin(ND_HEADER_BYTES);
  header[0] = AF_BRIDGE;
  header.writeInt32LE(index, 4);
  const attempted = () => `list forwarding entries of link ${index}`;
  return { type: RTM_GETNEIGH, flags: 0, body: out.finish(), attempted };
}

/** The kernel's key of a forwarding entry. Not for messages. */
export const fdbKey = ({ index, mac, destination }: Entry): string =>
  `${index} ${keyOfMac(mac)}${keyOfIp(destination)}`;

/** Reads an RTM_NEWNEIGH or RTM_DELNEIGH body; undefined for what is no entry with a destination. */
export function fdbEntryOf(body: Buffer): FdbEntry | undefined {
  if (body[0] !== AF_BRIDGE) return undefined;
  found.read(body, ND_HEADER_BYTES);
  const destination = found.bytes(NDA_DST);
  const mac = found.bytes(NDA_LLADDR);
  if (!destination || mac?.length !== 6) return undefined;
  return {
    index: body.readInt32LE(4),
    mac: formatMac(mac),
    destination: ipOfBytes(destination),
    permanent: (body.readUInt16LE(8) & NUD_PERMANENT) !== 0,
  };
}
