/**
 * Unix stream sockets (unix(7)) as descriptors, for a server whose every call is one short request and one answer:
 * a `net.Socket`, made and read and ended through streams, takes longer than the call's way through the relay.
 */
import { failedWith, KernelError } from './errors.ts';
import * as ffi from './ffi.ts';
import { unixAddress } from './unix-datagram.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;
const ENAMETOOLONG = 36;

/** As much as is read at once; what is longer comes in several pieces. */
const receiveBuffer = Buffer.allocUnsafeSlow(64 * 1024);

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

/** What has arrived; empty at the end, undefined where nothing has. */
export function receiveNow(fd: number): Buffer | undefined {
  const length = ffi.recv(fd, receiveBuffer, 'read a request');
  return length === undefined ? undefined : Buffer.from(receiveBuffer.subarray(0, length));
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
