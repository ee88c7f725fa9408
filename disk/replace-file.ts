/**
 * Files that are whole at any instant: written under another name beside their place, then put there by rename(2)
 * or link(2). A durable one also survives a power loss: the file is synced before, and its directory after that.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, isErrno } from '../kernel/errno.ts';
import { reasonOf } from '../problem/reason.ts';

export interface WholeFile {
  readonly path: string;
  readonly content: string;
  /** 0o644 unless given. */
  readonly mode?: number;
  /** Whether it must survive a power loss; true unless given. Under runDir, which is per boot, it need not. */
  readonly durable?: boolean;
}

/** A file that could not be written; `code` is the errno's name. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: string | undefined;

  constructor(path: string, cause: unknown) {
    super(`failed to write ${path}: ${reasonOf(cause)}`, { cause });
    this.code = errnoOf(cause);
  }
}

/**
 * Writes the file in place of what is there; makes its directory.
 *
 * @throws DiskError
 */
export function replaceFile(file: WholeFile): void {
  prepared(file, (made) => renameSync(made, file.path));
}

/**
 * Writes the file where there is none; false where there is one, which stays.
 *
 * @throws DiskError
 */
export function createFile(file: WholeFile): boolean {
  return prepared(file, (made) => {
    try {
      linkSync(made, file.path);
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw error;
    }
  });
}

function prepared<T>(file: WholeFile, place: (made: string) => T): T {
  const { path, content, mode = 0o644, durable = true } = file;
  const directory = dirname(path);
  const made = `${path}.${process.pid}.new`;
  try {
    mkdirSync(directory, { recursive: true });
    try {
      withFile({ path: made, flags: 'w', mode }, (fd) => {
        // Node.js repeats a short write until everything is written.
        writeFileSync(fd, content);
        if (durable) fsyncSync(fd);
      });
      return place(made);
    } finally {
      rmSync(made, { force: true });
      if (durable) withFile({ path: directory, flags: 'r' }, fsyncSync);
    }
  } catch (error) {
    throw new DiskError(path, error);
  }
}

function withFile(file: { path: string; flags: 'w' | 'r'; mode?: number }, use: (fd: number) => void): void {
  const fd = openSync(file.path, file.flags, file.mode);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}
