/**
 * Files that are whole at any instant, and there after a power loss: written beside their place, synced, and
 * put there by rename(2) or link(2); then the folder is synced, or the name may be lost.
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
import { AgentError, reasonOf } from '../errors.ts';

export interface WholeFile {
  readonly path: string;
  readonly content: string;
  /** 0o644 unless given. */
  readonly mode?: number;
}

/**
 * Writes the file in place of what is there; makes its folder.
 *
 * @throws AgentError `state`
 */
export function replaceFile(file: WholeFile): void {
  prepared(file, (made) => renameSync(made, file.path));
}

/**
 * Writes the file where there is none; false where there is one, which stays.
 *
 * @throws AgentError `state`
 */
export function createFile(file: WholeFile): boolean {
  return prepared(file, (made) => {
    try {
      linkSync(made, file.path);
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  });
}

function prepared<T>({ path, content, mode = 0o644 }: WholeFile, place: (made: string) => T): T {
  const folder = dirname(path);
  const made = `${path}.${process.pid}.new`;
  try {
    mkdirSync(folder, { recursive: true });
    withFile(
      made,
      'w',
      (fd) => {
        writeFileSync(fd, content);
        fsyncSync(fd);
      },
      mode,
    );
    const placed = place(made);
    withFile(folder, 'r', fsyncSync);
    return placed;
  } catch (error) {
    throw new AgentError('state', `${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  } finally {
    rmSync(made, { force: true });
  }
}

function withFile(path: string, flags: 'w' | 'r', use: (fd: number) => void, mode?: number): void {
  const fd = openSync(path, flags, mode);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}
