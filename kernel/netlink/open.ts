/** Netlink sockets as file descriptors: opened, bound, subscribed, with room enough (linux/netlink.h, socket(7)). */
import { failedWith } from '../errors.ts';
import * as ffi from '../ffi.ts';

/** NETLINK_ROUTE. */
export const NETLINK_ROUTE = 0;

/** RTNLGRP_* (linux/rtnetlink.h). */
export const RTNLGRP = {
  link: 1,
  neighbour: 3,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv4Rule: 8,
  ipv6Address: 9,
  ipv6Route: 11,
  ipv6Rule: 19,
  ipv4Netconf: 24,
  ipv6Netconf: 25,
} as const;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_DROP_MEMBERSHIP = 2;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** For requests, in the caller's namespace: refusals come with the kernel's words and without the request's bytes. */
export function openForRequests(protocol: number): number {
  const fd = ffi.socket(AF_NETLINK, SOCK_RAW, protocol);
  ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  if (protocol === NETLINK_ROUTE) ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  return fd;
}

/**
 * For notifications, in the caller's namespace, of no group yet. Bound to a port of the kernel's choice: a socket
 * without one is taken for the kernel, which sent it all.
 */
export function openForNotifications(protocol: number): number {
  const fd = ffi.socket(AF_NETLINK, SOCK_RAW, protocol);
  // struct sockaddr_nl: family, padding, port 0, no groups.
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  ffi.bind(fd, address);
  return fd;
}

/** What happens from now on in the group (RTNLGRP_*, NFNLGRP_*) is not missed. */
export const subscribe = (fd: number, group: number): void =>
  ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);

export const unsubscribe = (fd: number, group: number): void =>
  ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group);

/** Beyond net.core.rmem_max where we may (CAP_NET_ADMIN in the first user namespace), else up to it. */
export function widenReceiveBuffer(fd: number, bytes: number): void {
  try {
    ffi.setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  } catch (error) {
    if (!failedWith(error, 'EPERM')) throw error;
    ffi.setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
}

/** Room for one datagram of so many bytes, and for its answers. */
export function widenForTransaction(fd: number, sizes: { sentBytes: number; answeredBytes: number }): void {
  // Twice as much as it holds, because the kernel counts its own bookkeeping (sock.h, SOCK_MIN_SNDBUF).
  ffi.setSocketOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, 2 * sizes.sentBytes);
  ffi.setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, sizes.answeredBytes);
}
