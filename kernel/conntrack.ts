/**
 * Tracked flows (linux/netfilter/nfnetlink_conntrack.h). A UDP flow that began before its port was mapped, or
 * continues after that, keeps its old translation while packets arrive. So the flows of a port are removed when the
 * port is mapped or unmapped.
 */

import { putU32 } from 'netlink/dist/structs.js';
import { type Family, formatIp, type Ip, ipOfBytes, sameIp } from '../inet/ip.ts';
import { failedWith } from './errors.ts';
import { formatAttributes, type NetlinkMessage, type NetlinkRequest } from './netlink/message.ts';
import { partsOf } from './netlink/parts.ts';
import { afOf } from './netlink/rtnl.ts';
import { protocolNumbers } from './nft/field.ts';
import {
  NFGENMSG_BYTES,
  NFNL_SUBSYS_CTNETLINK,
  type Nfnl,
  NLA_F_NESTED,
  nfnlRequest,
} from './nft/nfnetlink.ts';

/** Flows by what their first packet was addressed to. */
export interface FlowMatch {
  readonly family: Family;
  readonly protocol: keyof typeof protocolNumbers;
  readonly port: number;
  /** Undefined: any address. */
  readonly destination?: Ip | undefined;
  /** Spares flows to other addresses; undefined: none. */
  readonly isMeant?: ((destination: Ip) => boolean) | undefined;
}

/** Forgets the flows; returns how many there were. */
export function forgetFlows(nfnl: Nfnl, match: FlowMatch): number {
  const found = nfnl.dump(dumpRequest(match)).filter((message) => matches(message, match));
  const outcomes = nfnl.attempt(found.map((message) => forgetRequest(match, message)));
  // A flow may end by itself meanwhile.
  const refusal = outcomes.find((outcome) => outcome && !failedWith(outcome, 'ENOENT'));
  if (refusal) throw refusal;
  return outcomes.filter((outcome) => !outcome).length;
}

const describe = ({ protocol, port, destination }: FlowMatch): string =>
  `${protocol} flows to ${destination ? formatIp(destination) : 'any address'} port ${port}`;

/**
 * The kernel filters (since Linux 5.8), so that a large table costs few messages; by protocol and port only:
 * its filter by IPv6 address means the contrary (net/netfilter/nf_conntrack_netlink.c,
 * `ctnetlink_filter_match_tuple`).
 */
function dumpRequest(match: FlowMatch): NetlinkRequest {
  const proto = formatAttributes([
    [CTA_PROTO_NUM, Buffer.from([protocolNumbers[match.protocol]])],
    [CTA_PROTO_DST_PORT, be16(match.port)],
  ]);
  const filter = formatAttributes([
    [CTA_FILTER_ORIG_FLAGS, putU32(FILTER_PROTO_NUM | FILTER_PROTO_DST_PORT)],
  ]);
  return nfnlRequest({
    subsystem: NFNL_SUBSYS_CTNETLINK,
    type: IPCTNL_MSG_CT_GET,
    family: afOf(match.family),
    attributes: [
      [CTA_TUPLE_ORIG | NLA_F_NESTED, formatAttributes([[CTA_TUPLE_PROTO | NLA_F_NESTED, proto]])],
      [CTA_FILTER | NLA_F_NESTED, filter],
    ],
    attempted: () => `list ${describe(match)}`,
  });
}

/** By tuple and the id that the kernel reported, so that no later flow of the same tuple is removed. */
function forgetRequest(match: FlowMatch, flow: NetlinkMessage): NetlinkRequest {
  const parts = partsOf(flow.body.subarray(NFGENMSG_BYTES));
  const named: [number, Buffer][] = [];
  for (const type of [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID]) {
    const data = parts.get(type);
    if (data) named.push([type === CTA_TUPLE_ORIG ? type | NLA_F_NESTED : type, data]);
  }
  return nfnlRequest({
    subsystem: NFNL_SUBSYS_CTNETLINK,
    type: IPCTNL_MSG_CT_DELETE,
    family: afOf(match.family),
    attributes: named,
    attempted: () => `forget ${describe(match)}`,
  });
}

/** Filters again here, because a kernel without this filter returns all flows. */
function matches(message: NetlinkMessage, match: FlowMatch): boolean {
  const tuple = partsOf(
    partsOf(message.body.subarray(NFGENMSG_BYTES)).get(CTA_TUPLE_ORIG) ?? Buffer.alloc(0),
  );
  const proto = partsOf(tuple.get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const address = partsOf(tuple.get(CTA_TUPLE_IP) ?? Buffer.alloc(0)).get(destinationAttribute[match.family]);
  if (proto.get(CTA_PROTO_NUM)?.[0] !== protocolNumbers[match.protocol]) return false;
  if (proto.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0) !== match.port || !address) return false;
  const destination = ipOfBytes(address);
  if (match.destination && !sameIp(destination, match.destination)) return false;
  return match.isMeant?.(destination) ?? true;
}

function be16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
/** CTA_IP_V4_DST, CTA_IP_V6_DST. */
const destinationAttribute: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 4 };
/** CTA_FILTER_FLAG (net/netfilter/nf_conntrack_netlink.c): one bit per part of a tuple, in this order. */
const FILTER_PROTO_NUM = 1 << 3;
const FILTER_PROTO_DST_PORT = 1 << 5;
