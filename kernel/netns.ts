/**
 * Network namespaces. A netlink socket belongs to the namespace in which it was opened, and setns(2) moves
 * one thread; so a namespace is entered in one synchronous block, which opens what it needs and leaves.
 */
import { closeSync, constants, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { failedWith, KernelError } from './errors.ts';
import * as ffi from './ffi.ts';

/** An open network namespace. It exists while it is open, even if its path is removed. */
export interface Netns {
  readonly fd: number;
  readonly path: string;
  /** `device:inode`: two paths with one id are one namespace. */
  readonly id: string;
  close(): void;
}

const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;

/**
 * Opens the namespace at a path such as `/run/netns/blue` or `/proc/4711/ns/net`.
 *
 * @throws KernelError ENOENT where there is nothing, EINVAL where the file is no namespace.
 */
export function openNetns(path: string): Netns {
  const attempted = `open network namespace ${path}`;
  try {
    const magic = statfsSync(path).type;
    if (magic !== NSFS_MAGIC && magic !== PROC_SUPER_MAGIC) {
      throw new KernelError({
        errno: osConstants.errno.EINVAL,
        attempted,
        detail: `unknown FS magic ${magic.toString(16)}: the file is no namespace`,
      });
    }
    const fd = openSync(path, constants.O_RDONLY);
    const { dev, ino } = fstatSync(fd);
    return { fd, path, id: `${dev}:${ino}`, close: () => closeSync(fd) };
  } catch (error) {
    if (error instanceof KernelError) throw error;
    const errno = Math.abs((error as NodeJS.ErrnoException).errno ?? osConstants.errno.EIO);
    throw new KernelError({ errno, attempted });
  }
}

/**
 * A namespace that another process has opened and handed over. The descriptor stays the caller's to close. `path` is
 * what the other process calls it, for messages.
 *
 * @throws KernelError EINVAL where the descriptor is no network namespace.
 */
export function handedNetns(fd: number, path: string): Netns {
  const attempted = `use network namespace ${path}`;
  const invalid = (detail: string) => new KernelError({ errno: osConstants.errno.EINVAL, attempted, detail });
  let type: number;
  try {
    type = ffi.ioctl(fd, NS_GET_NSTYPE, attempted);
  } catch (error) {
    if (failedWith(error, 'ENOTTY', 'EINVAL', 'EBADF')) throw invalid('the file is no namespace');
    throw error;
  }
  if (type !== CLONE_NEWNET) throw invalid('the file is a namespace of another kind');
  const { dev, ino } = fstatSync(fd);
  return { fd, path, id: `${dev}:${ino}`, close: () => {} };
}

/** linux/nsfs.h */
const NS_GET_NSTYPE = 0xb703;
const CLONE_NEWNET = 0x40000000;

/** The namespace that the process lives in, open for as long as the process runs. */
export function homeNetns(): Netns {
  home ??= openNetns('/proc/thread-self/ns/net');
  return home;
}

/** A new network namespace with nothing in it; it goes when it is closed and nothing else is in it. */
export function newNetns(): Netns {
  if (inside !== undefined) throw new Error(`already inside network namespace ${inside}`);
  const back = homeNetns();
  ffi.unshareNetwork();
  inside = 'a new network namespace';
  try {
    return openNetns('/proc/thread-self/ns/net');
  } finally {
    leave(back);
  }
}

let home: Netns | undefined;
let inside: string | undefined;

/**
 * Runs a synchronous block in a namespace and comes back. Sockets opened inside stay in it.
 *
 * The way back failing leaves a thread that would configure the wrong host: the process ends at once.
 */
export function within<T>(netns: Netns, block: () => T): T {
  if (inside !== undefined) throw new Error(`already inside network namespace ${inside}`);
  const back = homeNetns();
  ffi.setns(netns.fd, `enter network namespace ${netns.path}`);
  inside = netns.path;
  let result: T;
  try {
    result = block();
  } finally {
    leave(back);
  }
  if (result instanceof Promise) throw new TypeError('a block inside a namespace must be synchronous');
  return result;
}

function leave(back: Netns): void {
  try {
    ffi.setns(back.fd, 'return from a network namespace');
    inside = undefined;
  } catch (error) {
    writeSync(2, `weft: ${error instanceof Error ? error.message : error}; cannot go on\n`);
    process.exit(70);
  }
}
