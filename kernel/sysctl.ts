/**
 * /proc/sys/net of the calling thread's network namespace (it follows setns; /sys/class/net does not).
 * Keys are paths: `net/ipv4/ip_forward`, so that interface names may have dots.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Where /proc/sys/net is writable. In a container it is not at its own place, so the host's is mounted at another one:
 * `WEFT_PROC_SYS_NET`. What it shows follows the thread's network namespace there as well.
 */
const tree = process.env.WEFT_PROC_SYS_NET ?? '/proc/sys/net';

/** `net/ipv4/ip_forward` → its path. */
const pathOf = (key: string): string => key.replace(/^net(?=\/)/, tree);

/** The value without its line end; undefined where the kernel has no such setting (IPv6 switched off). */
export function readSysctl(key: string): string | undefined {
  try {
    return readFileSync(pathOf(key), 'utf8').trim();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * Sets a value where it differs. Returns the value that stood there before, or undefined where nothing
 * was changed, because it was so already or because the kernel has no such setting.
 */
export function ensureSysctl(key: string, value: string): string | undefined {
  const before = readSysctl(key);
  if (before === undefined || before === value) return undefined;
  writeFileSync(pathOf(key), value);
  return before;
}

const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
