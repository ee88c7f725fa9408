/** A bound UDP socket with what Node.js has no option for; hand the descriptor to `dgram`'s `bind({ fd })`. */
import { bytesOfIp, formatIp, type Ip } from '../inet/ip.ts';
import * as ffi from './ffi.ts';
import { afOf } from './netlink/rtnl.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_MARK = 36;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const PMTUDISC_PROBE = 3;

export interface UdpOptions {
  readonly local: Ip;
  readonly port: number;
  /** The mark of every packet sent (socket(7), SO_MARK): policy routing goes by it. */
  readonly mark?: number | undefined;
  /**
   * Packets are never cut, neither here nor on the way, and what is known of the path's MTU is not heeded
   * (ip(7), IP_PMTUDISC_PROBE): one that is too large for our own link is refused with EMSGSIZE.
   */
  readonly whole?: boolean;
}

/**
 * Opens and binds one in the calling thread's namespace; returns its descriptor.
 *
 * @throws KernelError EADDRNOTAVAIL where the address is not this host's, EADDRINUSE where the port is taken
 */
export function bindUdp({ local, port, mark, whole }: UdpOptions): number {
  const fd = ffi.socket(afOf(local.family), SOCK_DGRAM | SOCK_NONBLOCK, 0);
  try {
    if (mark !== undefined) ffi.setSocketOption(fd, SOL_SOCKET, SO_MARK, mark);
    if (whole && local.family === 'ipv4') {
      ffi.setSocketOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    } else if (whole) {
      ffi.setSocketOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
      ffi.setSocketOption(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
    }
    ffi.bind(fd, socketAddress(local, port), `bind UDP ${formatIp(local)} port ${port}`);
    return fd;
  } catch (error) {
    ffi.close(fd);
    throw error;
  }
}

/** struct sockaddr_in (netinet/in.h), or sockaddr_in6 without flow and scope. */
export function socketAddress(address: Ip, port: number): Buffer {
  const v4 = address.family === 'ipv4';
  const bytes = Buffer.alloc(v4 ? 16 : 28);
  bytes.writeUInt16LE(afOf(address.family), 0);
  bytes.writeUInt16BE(port, 2);
  bytesOfIp(address).copy(bytes, v4 ? 4 : 8);
  return bytes;
}
