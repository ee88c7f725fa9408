/** Which processes hold sockets, for messages. Reads the descriptors of all processes of this PID namespace. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * By inode of a socket: `netcat (process 4711)`. The kernel's own sockets (VXLAN, WireGuard) have no process, and
 * processes of other PID namespaces cannot be seen: their inodes are absent.
 */
export function socketHolders(inodes: ReadonlySet<string>): Map<string, string> {
  const holders = new Map<string, string>();
  if (inodes.size === 0) return holders;
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of entries(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      holders.set(inode, `${procText(`${pid}/comm`).trim() || 'a process'} (process ${pid})`);
    }
  }
  return holders;
}

/** A file below /proc; empty where it cannot be read. */
export function procText(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    return '';
  }
}

// A process may end, or close a descriptor, while it is read.

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
