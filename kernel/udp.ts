/** A bound UDP socket with what Node.js has no option for; hand the descriptor to `dgram`'s `bind({ fd })`. */
import { bytesOfIp, formatIp, type Ip } from '../inet/ip.ts';
import * as ffi from './ffi.ts';
import { afOf } from './netlink/rtnl.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_MARK = 36;

export interface UdpOptions {
  readonly local: Ip;
  readonly port: number;
  /** The mark of every packet sent (socket(7), SO_MARK): policy routing goes by it. */
  readonly mark?: number | undefined;
}

/**
 * Opens and binds one in the calling thread's namespace; returns its descriptor.
 *
 * @throws KernelError EADDRNOTAVAIL where the address is not this host's, EADDRINUSE where the port is taken
 */
export function bindUdp({ local, port, mark }: UdpOptions): number {
  const fd = ffi.socket(afOf(local.family), SOCK_DGRAM | SOCK_NONBLOCK, 0);
  try {
    if (mark !== undefined) ffi.setSocketOption(fd, SOL_SOCKET, SO_MARK, mark);
    ffi.bind(fd, socketAddress(local, port), `bind UDP ${formatIp(local)} port ${port}`);
    return fd;
  } catch (error) {
    ffi.close(fd);
    throw error;
  }
}

/** struct sockaddr_in (netinet/in.h), or sockaddr_in6 without flow and scope. */
function socketAddress(address: Ip, port: number): Buffer {
  const v4 = address.family === 'ipv4';
  const bytes = Buffer.alloc(v4 ? 16 : 28);
  bytes.writeUInt16LE(afOf(address.family), 0);
  bytes.writeUInt16BE(port, 2);
  bytesOfIp(address).copy(bytes, v4 ? 4 : 8);
  return bytes;
}
