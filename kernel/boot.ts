/** Which life of the kernel this is, and since when. */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

/** The kernel's `boot_id`: another value after each boot. */
export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** True for a file last written before this boot; `mtimeMs` is the file's. */
export const isOlderThanBoot = (mtimeMs: number): boolean => mtimeMs < Date.now() - uptime() * 1000;
