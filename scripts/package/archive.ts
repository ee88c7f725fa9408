/** Folders and archives whose bytes depend on nothing but their content. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PackagedFile } from './layout.ts';
import { run } from './run.ts';

/** Every file's time: the one that npm gives to what it packs. */
export const packedAt = '1985-10-26 08:15:00 UTC';

/** Writes the files, and SHA256SUMS, which install.sh checks and by which it identifies the package. */
export function writeTree(folder: string, files: readonly PackagedFile[]): void {
  rmSync(folder, { recursive: true, force: true });
  const sums = [...files]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, content }) => `${createHash('sha256').update(content).digest('hex')}  ${path}\n`);
  const list: PackagedFile = { path: 'SHA256SUMS', mode: 0o644, content: Buffer.from(sums.join('')) };
  for (const { path, mode, content } of [...files, list]) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
    chmodSync(target, mode);
  }
}

/** `folder` as `archive`, a tar.gz with the folder's name as its only top entry. */
export function makeArchive({ folder, archive }: { folder: string; archive: string }): void {
  const tar = archive.replace(/\.gz$/, '');
  rmSync(archive, { force: true });
  run('tar', [
    ...['--create', '--file', tar, '--directory', dirname(folder)],
    ...['--sort=name', '--format=ustar', '--owner=0', '--group=0', '--numeric-owner'],
    ...['--mode=u+rwX,go+rX,go-w', `--mtime=${packedAt}`],
    basename(folder),
  ]);
  run('gzip', ['--best', '--no-name', '--force', tar]);
}
