/**
 * Traffic control: token buckets, and redirection of what arrives on a link (linux/pkt_sched.h, linux/pkt_cls.h,
 * linux/tc_act/tc_mirred.h). Request builders and readers; node-netlink has no codec for these.
 */

import { putU32, putU64 } from 'netlink/dist/structs.js';
import { failedWith } from './errors.ts';
import {
  formatAttributes,
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from './netlink/message.ts';
import { partsOf } from './netlink/parts.ts';
import type { Rtnl } from './netlink/rtnl.ts';

/** A token bucket filter (tc-tbf(8)). Bytes are counted with the Ethernet header, without its checksum. */
export interface TokenBucket {
  readonly bytesPerSecond: number;
  /** How much may go at once; a packet larger than this is split, or dropped if it cannot be. */
  readonly burstBytes: number;
  /** How much may wait; the rest is dropped. */
  readonly queueBytes: number;
}

/** A queueing discipline as the kernel shows it. */
export interface Qdisc {
  readonly index: number;
  readonly kind: string;
  readonly handle: number;
  /** TC_H_ROOT, or a class. */
  readonly parent: number;
  readonly tokenBucket: TokenBucket | undefined;
}

export const TC_H_ROOT = 0xffff_ffff;

/** Replaces the root qdisc of a link's outgoing packets by a token bucket. Blocks for an RCU grace period. */
export const tokenBucket = (options: TokenBucket & { index: number }): NetlinkRequest => ({
  type: RTM_NEWQDISC,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  body: Buffer.concat([
    header({ index: options.index, handle: BUCKET_HANDLE, parent: TC_H_ROOT }),
    formatAttributes([
      [TCA_KIND, text('tbf')],
      [TCA_OPTIONS, bucketOptions(options)],
    ]),
  ]),
  attempted: () => `limit link ${options.index} to ${options.bytesPerSecond} bytes/s`,
});

/** Makes a link's arriving packets open to filters; left alone where it is so. */
export const arrivals = (index: number): NetlinkRequest => ({
  type: RTM_NEWQDISC,
  flags: NLM_F_CREATE,
  body: Buffer.concat([
    header({ index, handle: CLSACT_HANDLE, parent: TC_H_CLSACT }),
    formatAttributes([[TCA_KIND, text('clsact')]]),
  ]),
  attempted: () => `add clsact to link ${index}`,
});

/**
 * Hands all that arrives on a link to another link's queue, from which it comes back as if it had just arrived.
 * Needs `arrivals`. EEXIST where the link has weft's filter.
 */
export const redirectArrivals = (options: { index: number; to: number }): NetlinkRequest => ({
  type: RTM_NEWTFILTER,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([
    header({ index: options.index, parent: ARRIVALS, info: FILTER_INFO }),
    formatAttributes([
      [TCA_KIND, text('u32')],
      [TCA_OPTIONS, redirectOptions(options.to)],
    ]),
  ]),
  attempted: () => `redirect what arrives on link ${options.index} to link ${options.to}`,
});

/** Removes weft's filter of arriving packets; ENOENT or EINVAL where there is none. */
export const unredirectArrivals = (index: number): NetlinkRequest => ({
  type: RTM_DELTFILTER,
  flags: 0,
  body: header({ index, parent: ARRIVALS, info: FILTER_INFO }),
  attempted: () => `stop redirecting what arrives on link ${index}`,
});

/** The queueing disciplines of one link. */
export function qdiscs(rtnl: Rtnl, index: number): Qdisc[] {
  const request = { type: RTM_GETQDISC, flags: 0, body: header({ index }), attempted: () => 'list qdiscs' };
  return rtnl
    .dump(request)
    .map(qdiscOf)
    .filter((qdisc) => qdisc.index === index);
}

/** The link to which weft's filter redirects arriving packets; undefined where there is no filter. */
export function redirectionOf(rtnl: Rtnl, index: number): number | undefined {
  const body = header({ index, parent: ARRIVALS, info: FILTER_INFO });
  const request = { type: RTM_GETTFILTER, flags: 0, body, attempted: () => `list filters of link ${index}` };
  try {
    return rtnl
      .dump(request)
      .map((message) => mirredTarget(message.body.subarray(HEADER_BYTES)))
      .find((target) => target !== undefined);
  } catch (error) {
    // No such link, or no clsact on it.
    if (failedWith(error, 'ENODEV', 'EINVAL', 'ENOENT')) return undefined;
    throw error;
  }
}

/** struct tcmsg. */
function header(fields: { index: number; handle?: number; parent?: number; info?: number }): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeInt32LE(fields.index, 4);
  bytes.writeUInt32LE(fields.handle ?? 0, 8);
  bytes.writeUInt32LE(fields.parent ?? 0, 12);
  bytes.writeUInt32LE(fields.info ?? 0, 16);
  return bytes;
}

/** With the burst in bytes (TCA_TBF_BURST) the kernel needs no rate table and no clock of its own units. */
function bucketOptions({ bytesPerSecond, burstBytes, queueBytes }: TokenBucket): Buffer {
  const parameters = Buffer.alloc(TBF_QOPT_BYTES);
  parameters.writeUInt8(TC_LINKLAYER_ETHERNET, 1);
  parameters.writeUInt32LE(Math.min(bytesPerSecond, 0xffff_ffff), 8);
  parameters.writeUInt32LE(queueBytes, 24);
  return formatAttributes([
    [TCA_TBF_PARMS, parameters],
    [TCA_TBF_RATE64, putU64(BigInt(bytesPerSecond))],
    [TCA_TBF_BURST, putU32(burstBytes)],
  ]);
}

/** A u32 filter with one key that matches anything, and mirred as its action. */
function redirectOptions(to: number): Buffer {
  const selector = Buffer.alloc(SELECTOR_BYTES + KEY_BYTES);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  const mirred = Buffer.alloc(MIRRED_BYTES);
  mirred.writeInt32LE(TC_ACT_STOLEN, 8);
  mirred.writeInt32LE(TCA_EGRESS_REDIR, 20);
  mirred.writeUInt32LE(to, 24);
  const action = formatAttributes([
    [TCA_ACT_KIND, text('mirred')],
    [TCA_ACT_OPTIONS | NLA_F_NESTED, formatAttributes([[TCA_MIRRED_PARMS, mirred]])],
  ]);
  return formatAttributes([
    [TCA_U32_SEL, selector],
    [TCA_U32_ACT | NLA_F_NESTED, formatAttributes([[1 | NLA_F_NESTED, action]])],
  ]);
}

function qdiscOf(message: NetlinkMessage): Qdisc {
  const { body } = message;
  const parts = partsOf(body.subarray(HEADER_BYTES));
  const kind = (parts.get(TCA_KIND) ?? Buffer.alloc(0)).toString('utf8').replace(/\0.*$/s, '');
  const options = parts.get(TCA_OPTIONS);
  return {
    index: body.readInt32LE(4),
    kind,
    handle: body.readUInt32LE(8),
    parent: body.readUInt32LE(12),
    tokenBucket: kind === 'tbf' && options ? bucketOf(partsOf(options)) : undefined,
  };
}

/** The kernel shows the burst in ticks of its clock (64 ns) at the rate. */
function bucketOf(parts: ReadonlyMap<number, Buffer>): TokenBucket | undefined {
  const parameters = parts.get(TCA_TBF_PARMS);
  if (!parameters || parameters.length < TBF_QOPT_BYTES) return undefined;
  const rate = Number(parts.get(TCA_TBF_RATE64)?.readBigUInt64LE(0) ?? parameters.readUInt32LE(8));
  return {
    bytesPerSecond: rate,
    burstBytes: Math.round((parameters.readUInt32LE(28) * TICK_NS * rate) / 1e9),
    queueBytes: parameters.readUInt32LE(24),
  };
}

function mirredTarget(bytes: Buffer): number | undefined {
  const options = partsOf(bytes).get(TCA_OPTIONS);
  const actions = options && partsOf(options).get(TCA_U32_ACT);
  const action = actions && partsOf(actions).get(1);
  const settings = action && partsOf(action).get(TCA_ACT_OPTIONS);
  const mirred = settings && partsOf(settings).get(TCA_MIRRED_PARMS);
  return mirred && mirred.length >= MIRRED_BYTES ? mirred.readUInt32LE(24) : undefined;
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);

const RTM_NEWQDISC = 36;
const RTM_GETQDISC = 38;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const NLA_F_NESTED = 0x8000;
const HEADER_BYTES = 20;
const BUCKET_HANDLE = 0x0001_0000;
const CLSACT_HANDLE = 0xffff_0000;
const TC_H_CLSACT = 0xffff_fff1;
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS). */
const ARRIVALS = 0xffff_fff2;
/** Priority 1 and ETH_P_ALL in network byte order: weft's filter is recognised by them. */
const FILTER_INFO = 0x0001_0300;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_TBF_PARMS = 1;
const TCA_TBF_RATE64 = 4;
const TCA_TBF_BURST = 6;
/** struct tc_tbf_qopt: two tc_ratespec of 12 bytes, limit, buffer, mtu. */
const TBF_QOPT_BYTES = 36;
const TC_LINKLAYER_ETHERNET = 1;
const TICK_NS = 64;
const TCA_U32_SEL = 5;
const TCA_U32_ACT = 7;
const SELECTOR_BYTES = 16;
const KEY_BYTES = 16;
const TC_U32_TERMINAL = 1;
const TCA_ACT_KIND = 1;
const TCA_ACT_OPTIONS = 2;
const TCA_MIRRED_PARMS = 2;
const MIRRED_BYTES = 28;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;
