/** Neighbour entries (ARP and NDP): request builders and a reader (linux/neighbour.h). */
import { formatNeighborMessage, parseNeighborMessage } from 'netlink/dist/rt/structs.js';
import { bytesOfIp, type Family, formatIp, type Ip, ipOfBytes } from '../inet/ip.ts';
import { bytesOfMac, formatMac } from '../inet/mac.ts';
import { bodyOf, type NetlinkRequest, NLM_F_CREATE, NLM_F_REPLACE } from './netlink/message.ts';
import { afOf, familyOfAf, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, type Rtnl } from './netlink/rtnl.ts';

export interface Neighbour {
  readonly index: number;
  readonly address: Ip;
  readonly mac: string | undefined;
  /** NUD_PERMANENT: put there by hand; the kernel neither asks for it nor forgets it. */
  readonly permanent: boolean;
}

/** Sets a permanent entry, over whatever stood there. */
export const replace = (entry: { index: number; address: Ip; mac: string }): NetlinkRequest =>
  request('set', RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);

/** Removes an entry, learned or permanent; ENOENT where there is none. */
export const remove = (entry: { index: number; address: Ip }): NetlinkRequest =>
  request('remove', RTM_DELNEIGH, 0, entry);

function request(
  verb: string,
  type: number,
  flags: number,
  entry: { index: number; address: Ip; mac?: string },
): NetlinkRequest {
  const body = bodyOf((out) =>
    formatNeighborMessage(
      {
        kind: 'neighbor',
        data: {
          family: afOf(entry.address.family),
          ifindex: entry.index,
          ...(entry.mac === undefined ? {} : { state: { permanent: true as const } }),
        },
        attrs: {
          dst: bytesOfIp(entry.address),
          ...(entry.mac === undefined ? {} : { lladdr: bytesOfMac(entry.mac) }),
        },
      },
      out,
    ),
  );
  return {
    type,
    flags,
    body,
    attempted: () => `${verb} neighbour ${formatIp(entry.address)} on link ${entry.index}`,
  };
}

/** The entries of one family, on one link if it is named. */
export function neighbours(rtnl: Rtnl, which: { family: Family; index?: number }): Neighbour[] {
  const body = bodyOf((out) =>
    formatNeighborMessage(
      {
        kind: 'neighbor',
        data: { family: afOf(which.family) },
        attrs: which.index === undefined ? {} : { ifindex: u32(which.index) },
      },
      out,
    ),
  );
  const messages = rtnl.dump({
    type: RTM_GETNEIGH,
    flags: 0,
    body,
    attempted: () => `list ${which.family} neighbours`,
  });
  return messages.flatMap((message) => neighbourOf(message.body) ?? []);
}

/** Reads an RTM_NEWNEIGH or RTM_DELNEIGH body; undefined for what is no ARP or NDP entry. */
export function neighbourOf(body: Buffer): Neighbour | undefined {
  const { data, attrs } = parseNeighborMessage(body);
  if (!familyOfAf(data.family) || !attrs.dst) return undefined;
  return {
    index: data.ifindex ?? 0,
    address: ipOfBytes(attrs.dst),
    mac: attrs.lladdr?.length === 6 ? formatMac(attrs.lladdr) : undefined,
    permanent: data.state?.permanent === true,
  };
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
