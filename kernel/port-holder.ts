/** Which process holds a UDP port in the caller's network namespace, for messages. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * `netcat (process 4711)`; undefined where no process is found: the kernel's own sockets (VXLAN, WireGuard) belong to
 * none, and a process of another PID namespace cannot be seen. Reads /proc/net/udp and the descriptors of all processes.
 */
export function udpPortHolder(port: number): string | undefined {
  const inodes = new Set(['udp', 'udp6'].flatMap((table) => socketInodes(table, port)));
  if (inodes.size === 0) return undefined;
  const pid = entries('/proc').find((name) => /^\d+$/.test(name) && holdsOne(name, inodes));
  if (pid === undefined) return undefined;
  const name = text(`/proc/${pid}/comm`).trim();
  return `${name || 'a process'} (process ${pid})`;
}

/**
 * Lines of /proc/net/udp (net/ipv4/udp.c, udp4_format_sock): the second field is `ADDRESS:PORT` in hexadecimal digits, the
 * tenth the inode.
 */
function socketInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = text(`/proc/thread-self/net/${table}`).split('\n').slice(1);
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const inode = fields[9];
    return fields[1]?.endsWith(suffix) && inode !== undefined && inode !== '0' ? [inode] : [];
  });
}

const holdsOne = (pid: string, inodes: ReadonlySet<string>): boolean =>
  entries(`/proc/${pid}/fd`).some((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${fd}`))?.[1];
    return inode !== undefined && inodes.has(inode);
  });

// A process may end, or close a descriptor, while it is looked at.

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
