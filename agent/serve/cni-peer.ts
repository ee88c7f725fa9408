/** Who is at the other end of a Unix socket (unix(7), SO_PEERCRED). */
import type { Socket } from 'node:net';
import { getSocketOption } from '../../kernel/ffi.ts';

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;

/** @throws KernelError where the socket has been closed */
export function peerCredentials(socket: Socket): PeerCredentials {
  const ucred = getSocketOption(descriptorOf(socket), SOL_SOCKET, SO_PEERCRED, UCRED_BYTES);
  return { pid: ucred.readInt32LE(0), uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
}

/** Node has the descriptor but no name for it; -1, which no system call accepts, where it is gone. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } | null };
  return handle?.fd ?? -1;
}
