/** Files of an npm package: fetched once by npm's client, compared with their pin, kept in the user's cache. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Pin } from './pins.ts';
import { run } from './run.ts';

/** The folder that has them. Throws where the package cannot be fetched or is not what `named` pins. */
export function ensureFetched(wanted: { pin: Pin; named: string; files: readonly string[] }): string {
  const { pin } = wanted;
  const caches = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft');
  const folder = join(caches, `${pin.name.replace('/', '-')}-${pin.version}-${pin.sha512.slice(0, 16)}`);
  if (!existsSync(folder)) fetchInto({ ...wanted, caches, folder });
  return folder;
}

function fetchInto(request: {
  pin: Pin;
  named: string;
  files: readonly string[];
  caches: string;
  folder: string;
}): void {
  const { pin, named, files, caches, folder } = request;
  mkdirSync(caches, { recursive: true });
  const temporary = mkdtempSync(`${folder}.`);
  try {
    run('npm', ['pack', '--silent', '--pack-destination', temporary, `${pin.name}@${pin.version}`]);
    const [archive = ''] = readdirSync(temporary).map((file) => join(temporary, file));
    const sha512 = createHash('sha512').update(readFileSync(archive)).digest('hex');
    if (sha512 !== pin.sha512) {
      throw new Error(
        `${pin.name}@${pin.version} is not the package that ${named} names: its SHA-512 is ${sha512}`,
      );
    }
    const paths = files.map((file) => `package/${file}`);
    run('tar', ['-xzf', archive, '-C', temporary, '--strip-components=1', ...paths]);
    rmSync(archive);
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another build may have been quicker.
    if (!existsSync(folder)) throw error;
  }
}
