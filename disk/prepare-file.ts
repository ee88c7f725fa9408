/** A durable file, written and synced on the thread pool, so that a slow disk does not stall the event loop. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '../kernel/errno.ts';
import { DiskError, type WholeFile } from './replace-file.ts';

export interface PreparedFile {
  /** Replaces the file at once; resolves when the new name is durable too. */
  place(): Promise<void>;
  discard(): void;
}

/**
 * Writes the content beside its place. The caller decides with `place` or `discard` whether it is still wanted.
 *
 * @throws DiskError, also from `place`
 */
export async function prepareFile({ path, content, mode = 0o644 }: WholeFile): Promise<PreparedFile> {
  const folder = dirname(path);
  // Another name than that of `replaceFile`, which may run meanwhile; fixed, so that crashes leave one file at most.
  const made = `${path}.next`;
  const failed = (error: unknown): DiskError => {
    if (!isErrno(error, 'ENOTDIR', 'EEXIST')) rmSync(made, { force: true });
    return new DiskError(path, error);
  };
  try {
    mkdirSync(folder, { recursive: true });
    const file = await open(made, 'w', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw failed(error);
  }
  return {
    discard: () => rmSync(made, { force: true }),
    place: async () => {
      try {
        renameSync(made, path);
        const opened = await open(folder, 'r');
        try {
          await opened.sync();
        } finally {
          await opened.close();
        }
      } catch (error) {
        throw failed(error);
      }
    },
  };
}
