/** Sockets of this host that wait for packets from outside, in the caller's network namespace. */
import { endianness } from 'node:os';
import { type Ip, ipOfBytes } from '../../inet/ip.ts';
import { procText, socketHolders } from '../../kernel/socket-holders.ts';
import type { Listener } from './port-conflicts.ts';

/** Lines of /proc/net/tcp and its kin (net/ipv4/tcp_ipv4.c): local address, remote, state; the inode is tenth. */
const tables = [
  { file: 'tcp', protocol: 'tcp', state: '0A' },
  { file: 'tcp6', protocol: 'tcp', state: '0A' },
  // A UDP socket without a peer.
  { file: 'udp', protocol: 'udp', state: '07' },
  { file: 'udp6', protocol: 'udp', state: '07' },
] as const;

export function listeners(): Listener[] {
  const found = tables.flatMap(({ file, protocol, state }) =>
    procText(`thread-self/net/${file}`)
      .split('\n')
      .slice(1)
      .flatMap((row) => {
        const fields = row.trim().split(/\s+/);
        const [address = '', port = ''] = fields[1]?.split(':') ?? [];
        if (fields[3] !== state || port === '') return [];
        const local = addressOf(address);
        if (local && isLoopback(local)) return [];
        return [{ protocol, port: Number.parseInt(port, 16), address: local, inode: fields[9] ?? '' }];
      }),
  );
  const holders = socketHolders(new Set(found.map(({ inode }) => inode)));
  return found.map(({ inode, ...listener }) => ({ ...listener, program: holders.get(inode) }));
}

/** In words of four bytes, each in the host's order; undefined: all addresses. */
function addressOf(hex: string): Ip | undefined {
  if (/^0*$/.test(hex)) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  return ipOfBytes(bytes);
}

const isLoopback = ({ family, value }: Ip): boolean =>
  family === 'ipv4' ? value >> 24n === 127n : value === 1n;
