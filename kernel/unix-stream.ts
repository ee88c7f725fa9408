/**
 * Unix stream sockets (unix(7)) as descriptors, for a server whose every call is one short request and one answer:
 * a `net.Socket`, made and read and ended through streams, takes longer than the call's way through the relay.
 */
import { fstatSync } from 'node:fs';
import { failedWith, KernelError } from './errors.ts';
import * as ffi from './ffi.ts';
import { unixAddress } from './unix-datagram.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;
const ENAMETOOLONG = 36;

/** A socket at a path, on which callers may queue up. @throws KernelError EADDRINUSE, ENAMETOOLONG */
export function listenUnix(path: string, backlog: number): number {
  const attempted = `listen on ${path}`;
  const address = unixAddress(path);
  if (!address) throw new KernelError({ errno: ENAMETOOLONG, attempted });
  const fd = ffi.socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    ffi.bind(fd, address, attempted);
    ffi.listen(fd, backlog, attempted);
    return fd;
  } catch (error) {
    ffi.close(fd);
    throw error;
  }
}

/** What has arrived, with the descriptors that came beside it (SCM_RIGHTS), which the receiver closes. */
export interface Received {
  /** Empty at the end. */
  readonly bytes: Buffer;
  readonly fds: readonly number[];
  /** Some of the descriptors were not received: too many, or this process has no room for more. */
  readonly truncated: boolean;
}

const SCM_RIGHTS = 1;
const CMSG_HEADER_BYTES = 16;
const MOST_FDS = 16;

/** As much as is received at once; what is longer comes in several pieces. */
const RECEIVE_BYTES = 64 * 1024;

/** struct msghdr of 64-bit processors, and what it points to; a process receives one message at a time. */
interface Reception {
  readonly message: Buffer;
  readonly bytes: Buffer;
  readonly control: Buffer;
}

let reception: Reception | undefined;

function makeReception(): Reception {
  const [message, vector, bytes, control] = [56, 16, RECEIVE_BYTES, CMSG_HEADER_BYTES + 4 * MOST_FDS].map(
    ffi.nativeMemory,
  ) as [ffi.NativeMemory, ffi.NativeMemory, ffi.NativeMemory, ffi.NativeMemory];
  vector.buffer.writeBigUInt64LE(bytes.address, 0);
  vector.buffer.writeBigUInt64LE(BigInt(RECEIVE_BYTES), 8);
  message.buffer.writeBigUInt64LE(vector.address, 16);
  message.buffer.writeBigUInt64LE(1n, 24);
  message.buffer.writeBigUInt64LE(control.address, 32);
  return { message: message.buffer, bytes: bytes.buffer, control: control.buffer };
}

/** Undefined where nothing has arrived. A plain recv(2) would drop descriptors silently. */
export function receiveNow(fd: number): Received | undefined {
  reception ??= makeReception();
  const { message, bytes, control } = reception;
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const length = ffi.recvMessage(fd, message, ffi.MSG_CMSG_CLOEXEC, 'read a request');
  if (length === undefined) return undefined;
  return {
    bytes: Buffer.from(bytes.subarray(0, length)),
    fds: [...descriptorsIn(control.subarray(0, Number(message.readBigUInt64LE(40))))],
    truncated: (message.readInt32LE(48) & ffi.MSG_CTRUNC) !== 0,
  };
}

/** struct cmsghdr: length, level, type; each message begins at a multiple of 8 bytes. */
function* descriptorsIn(messages: Buffer): Generator<number> {
  for (let at = 0; at + CMSG_HEADER_BYTES <= messages.length; ) {
    const length = Number(messages.readBigUInt64LE(at));
    const end = Math.min(at + length, messages.length);
    const isRights =
      messages.readInt32LE(at + 8) === SOL_SOCKET && messages.readInt32LE(at + 12) === SCM_RIGHTS;
    for (let i = at + CMSG_HEADER_BYTES; isRights && i + 4 <= end; i += 4) yield messages.readInt32LE(i);
    if (length < CMSG_HEADER_BYTES) return;
    at += Math.ceil(length / 8) * 8;
  }
}

/** The first bytes of what has arrived, which stays to be received; undefined where nothing has. */
export function peekNow(fd: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  const received = ffi.recv(fd, bytes, 'look at a request', ffi.MSG_PEEK);
  return received === undefined ? undefined : bytes.subarray(0, received);
}

/** Sends what fits without waiting; returns how many bytes did. */
export function sendNow(fd: number, bytes: Uint8Array): number {
  try {
    return ffi.send(fd, bytes, ffi.MSG_DONTWAIT | ffi.MSG_NOSIGNAL, 'answer');
  } catch (error) {
    if (failedWith(error, 'EAGAIN')) return 0;
    throw error;
  }
}

/**
 * `device:inode` of the network namespace in which the caller of an accepted socket made its own; undefined where the
 * kernel does not say (it asks for CAP_NET_ADMIN there).
 */
export function callerNetns(fd: number): string | undefined {
  let netns: number;
  try {
    netns = ffi.ioctl(fd, SIOCGSKNS, "open the caller's network namespace");
  } catch (error) {
    if (failedWith(error, 'EPERM', 'ENOTTY', 'EINVAL', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
  try {
    const { dev, ino } = fstatSync(netns);
    return `${dev}:${ino}`;
  } finally {
    ffi.close(netns);
  }
}

/** linux/sockios.h; for a Unix socket that was accepted it is the namespace of the socket that connected. */
const SIOCGSKNS = 0x894c;

/** Who is at the other end (SO_PEERCRED). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export function peerCredentials(fd: number): PeerCredentials {
  const ucred = ffi.getSocketOption(fd, SOL_SOCKET, SO_PEERCRED, UCRED_BYTES);
  return { pid: ucred.readInt32LE(0), uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
}
