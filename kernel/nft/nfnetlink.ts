/** The netfilter socket, and what its messages have in common (linux/netfilter/nfnetlink.h, nf_tables.h). */
import type { StreamData } from 'netlink/dist/structs.js';
import type { KernelError } from '../errors.ts';
import { formatAttributes, type NetlinkRequest, wireLength } from '../netlink/message.ts';
import { NetlinkSocket, TRANSACTION_BYTES } from '../netlink/socket.ts';

/** A socket for nftables and conntrack of one network namespace. */
export type Nfnl = NetlinkSocket;

/** Opens one in the calling thread's network namespace. */
export const openNfnl = (): Nfnl => NetlinkSocket.open(NETLINK_NETFILTER);

/** NETLINK_NETFILTER: the protocol of the netfilter socket, for callers that open one to listen. */
export const NETLINK_NETFILTER = 12;
/** The multicast group that notifies of every change of a rule set (NFNLGRP_NFTABLES). */
export const NFNLGRP_NFTABLES = 7;

export type NftFamily = 'inet' | 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev';

/** NFPROTO_* (linux/netfilter.h). */
const familyNumbers: Readonly<Record<NftFamily, number>> = {
  inet: 1,
  ip: 2,
  arp: 3,
  netdev: 5,
  bridge: 7,
  ip6: 10,
};

/** Every family: for a dump that is not limited to one. */
export const NFPROTO_UNSPEC = 0;
export const numberOfFamily = (family: NftFamily): number => familyNumbers[family];

export function familyOfNumber(number: number): NftFamily | undefined {
  const found = Object.entries(familyNumbers).find(([, value]) => value === number);
  return found?.[0] as NftFamily | undefined;
}

export const NFNL_SUBSYS_CTNETLINK = 1;
export const NFNL_SUBSYS_NFTABLES = 10;

/** Attributes that hold attributes are marked as such. */
export const NLA_F_NESTED = 0x8000;
/** nfgenmsg: family, version, resource id. */
export const NFGENMSG_BYTES = 4;

/** A request of one of netfilter's subsystems; `type` is the subsystem's own number of the message. */
export function nfnlRequest(request: {
  subsystem: number;
  type: number;
  family: number;
  flags?: number;
  attributes: readonly (readonly [number, StreamData])[];
  attempted: () => string;
}): NetlinkRequest {
  return {
    type: (request.subsystem << 8) | request.type,
    flags: request.flags ?? 0,
    body: Buffer.concat([Buffer.from([request.family, 0, 0, 0]), formatAttributes(request.attributes)]),
    attempted: request.attempted,
  };
}

const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;

const edge = (type: number): NetlinkRequest => ({
  type,
  flags: 0,
  // The resource id names the subsystem, in network byte order.
  body: Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]),
  attempted: () => 'change nftables',
});
const frame = { begin: edge(NFNL_MSG_BATCH_BEGIN), end: edge(NFNL_MSG_BATCH_END) };

/**
 * Carries out changes to nftables as one transaction. Where the kernel refuses one of them it does none;
 * the outcomes name the refused ones, in the order of the requests.
 */
export const attemptTransaction = (
  nfnl: Nfnl,
  requests: readonly NetlinkRequest[],
): (KernelError | undefined)[] => (requests.length === 0 ? [] : nfnl.transact(frame, requests));

/** Carries out changes to nftables as one transaction; throws the first refusal, having changed nothing. */
export function transact(nfnl: Nfnl, requests: readonly NetlinkRequest[]): void {
  for (const outcome of attemptTransaction(nfnl, requests)) if (outcome) throw outcome;
}

/** Carries out changes that need not happen at once, in as few transactions as they fit into. */
export function transactInTurn(nfnl: Nfnl, requests: readonly NetlinkRequest[]): void {
  let batch: NetlinkRequest[] = [];
  let bytes = 0;
  for (const request of requests) {
    if (bytes + wireLength(request) > TRANSACTION_BYTES - FRAME_BYTES) {
      transact(nfnl, batch);
      batch = [];
      bytes = 0;
    }
    batch.push(request);
    bytes += wireLength(request);
  }
  transact(nfnl, batch);
}

/** Room for the two messages around a batch. */
const FRAME_BYTES = 64;

/** A NUL-terminated string. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);
export const textOf = (value: Buffer): string => value.toString('utf8').replace(/\0.*$/s, '');

/** nf_tables' integers are in network byte order. */
export function be32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
