/**
 * host-local's directories where callers see them: the process that attaches pods may live in another mount namespace,
 * where the same path is another directory, or none.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import type { OpenedName } from '../protocol/call.ts';

interface Directory {
  /** `device:inode`; undefined where the caller has no such directory. */
  readonly id: string | undefined;
  readonly fd: number | undefined;
}

export class DataDirs {
  /** By the path in the caller's words; those that are the same here are not kept. */
  readonly #elsewhere = new Map<string, Directory>();

  /** Notes what a caller means by the path. True if that is another directory than was known. */
  note(path: string, opened: OpenedName | undefined): boolean {
    if (!opened) return false;
    const id = 'fd' in opened ? idOf(fstatSync(opened.fd)) : undefined;
    const known = this.#elsewhere.get(path);
    const here = statSync(path, { throwIfNoEntry: false });
    if (id === (here && idOf(here))) {
      this.#forget(path);
      return known !== undefined;
    }
    if (known && known.id === id) return false;
    this.#forget(path);
    // A descriptor of its own: the caller's is closed with the call.
    const fd = 'fd' in opened ? openSync(`/proc/self/fd/${opened.fd}`, 'r') : undefined;
    this.#elsewhere.set(path, { id, fd });
    return true;
  }

  /** Where this process finds what callers mean by the path; undefined where they have no such directory. */
  pathOf(path: string): string | undefined {
    const directory = this.#elsewhere.get(path);
    if (!directory) return path;
    return directory.fd === undefined ? undefined : `/proc/self/fd/${directory.fd}`;
  }

  close(): void {
    for (const path of [...this.#elsewhere.keys()]) this.#forget(path);
  }

  #forget(path: string): void {
    const fd = this.#elsewhere.get(path)?.fd;
    this.#elsewhere.delete(path);
    if (fd !== undefined) closeSync(fd);
  }
}

const idOf = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}:${ino}`;
