/** Which process holds a UDP port in the caller's network namespace, for messages. */
import { procText, socketHolders } from './socket-holders.ts';

/** `netcat (process 4711)`; undefined where no process is found. */
export function udpPortHolder(port: number): string | undefined {
  const inodes = new Set(['udp', 'udp6'].flatMap((table) => socketInodes(table, port)));
  return [...socketHolders(inodes).values()][0];
}

/**
 * Lines of /proc/net/udp (net/ipv4/udp.c, udp4_format_sock): the second field is `ADDRESS:PORT` in hexadecimal digits,
 * the tenth the inode.
 */
function socketInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = procText(`thread-self/net/${table}`).split('\n').slice(1);
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const inode = fields[9];
    return fields[1]?.endsWith(suffix) && inode !== undefined && inode !== '0' ? [inode] : [];
  });
}
