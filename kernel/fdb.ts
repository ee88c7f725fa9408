/**
 * Forwarding entries of a VXLAN device (linux/neighbour.h, family AF_BRIDGE): inner MAC -> outer address.
 * An entry is told by its MAC *and* its destination: two destinations for one MAC are two entries, so a
 * destination is changed by NLM_F_REPLACE, never by adding.
 */
import { formatNeighborMessage, parseNeighborMessage } from 'netlink/dist/rt/structs.js';
import { bytesOfIp, formatIp, type Ip, ipOfBytes } from '../inet/ip.ts';
import { bytesOfMac, formatMac } from '../inet/mac.ts';
import { bodyOf, type NetlinkRequest, NLM_F_CREATE, NLM_F_REPLACE } from './netlink/message.ts';
import { AF_BRIDGE, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, type Rtnl } from './netlink/rtnl.ts';

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

function request(verb: string, type: number, flags: number, entry: Entry): NetlinkRequest {
  const body = bodyOf((out) =>
    formatNeighborMessage(
      {
        kind: 'neighbor',
        data: {
          family: AF_BRIDGE,
          ifindex: entry.index,
          state: { permanent: true },
          flags: { self: true },
        },
        attrs: { dst: bytesOfIp(entry.destination), lladdr: bytesOfMac(entry.mac) },
      },
      out,
    ),
  );
  return {
    type,
    flags,
    body,
    attempted: () =>
      `${verb} forwarding entry ${entry.mac} -> ${formatIp(entry.destination)} on link ${entry.index}`,
  };
}

/** The entries of one VXLAN device that have a destination. */
export function fdbEntries(rtnl: Rtnl, index: number): FdbEntry[] {
  const body = bodyOf((out) =>
    formatNeighborMessage({ kind: 'neighbor', data: { family: AF_BRIDGE, ifindex: index }, attrs: {} }, out),
  );
  const messages = rtnl.dump({
    type: RTM_GETNEIGH,
    flags: 0,
    body,
    attempted: () => `list forwarding entries of link ${index}`,
  });
  return messages.flatMap((message) => fdbEntryOf(message.body) ?? []);
}

/** Reads an RTM_NEWNEIGH or RTM_DELNEIGH body; undefined for what is no entry with a destination. */
export function fdbEntryOf(body: Buffer): FdbEntry | undefined {
  const { data, attrs } = parseNeighborMessage(body);
  if (data.family !== AF_BRIDGE || !attrs.dst || attrs.lladdr?.length !== 6) return undefined;
  return {
    index: data.ifindex ?? 0,
    mac: formatMac(attrs.lladdr),
    destination: ipOfBytes(attrs.dst),
    permanent: data.state?.permanent === true,
  };
}
