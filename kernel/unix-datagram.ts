/** Datagrams to Unix sockets (unix(7)), which Node.js has no call for. */
import { KernelError } from './errors.ts';
import { close, sendTo, socket } from './ffi.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
/** sizeof(sockaddr_un.sun_path), linux/un.h. */
const PATH_BYTES = 108;

/**
 * Sends one datagram to the socket of that name: a path, or `@` and a name in the abstract namespace. Never
 * blocks.
 *
 * @throws KernelError: ENOENT and ECONNREFUSED where no process listens, EAGAIN where its queue is full,
 *   ENAMETOOLONG
 */
export function sendDatagram(name: string, data: Uint8Array): void {
  const attempted = `send to ${name}`;
  const address = unixAddress(name);
  if (!address) throw new KernelError({ errno: ENAMETOOLONG, attempted });
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  try {
    sendTo(fd, data, address, attempted);
  } finally {
    close(fd);
  }
}

const ENAMETOOLONG = 36;

/** struct sockaddr_un; undefined where the name is too long for it. */
export function unixAddress(name: string): Buffer | undefined {
  const bytes = Buffer.from(name.replace(/^@/, '\0'));
  // An abstract name is as long as the address says; a path ends with a zero byte.
  const end = name.startsWith('@') ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
  if (end.length > PATH_BYTES) return undefined;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, end]);
}
