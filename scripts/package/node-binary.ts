/** The Node.js that the package carries: fetched once by npm's client, compared with its pin, kept in the user's cache. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Pin } from './pins.ts';
import { run } from './run.ts';

export interface NodeBinary {
  readonly program: string;
  readonly license: string;
}

/** Paths of the program and its licence. Throws where it cannot be fetched or is not what was pinned. */
export function ensureNodeBinary(pin: Pin): NodeBinary {
  const caches = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft');
  const folder = join(caches, `${pin.name}-${pin.version}-${pin.sha512.slice(0, 16)}`);
  if (!existsSync(folder)) fetchInto({ pin, caches, folder });
  return { program: join(folder, 'bin/node'), license: join(folder, 'LICENSE') };
}

function fetchInto({ pin, caches, folder }: { pin: Pin; caches: string; folder: string }): void {
  mkdirSync(caches, { recursive: true });
  const temporary = mkdtempSync(`${folder}.`);
  try {
    run('npm', ['pack', '--silent', '--pack-destination', temporary, `${pin.name}@${pin.version}`]);
    const archive = join(temporary, `${pin.name}-${pin.version}.tgz`);
    const sha512 = createHash('sha512').update(readFileSync(archive)).digest('hex');
    if (sha512 !== pin.sha512) {
      throw new Error(
        `${pin.name}@${pin.version} is not the package that scripts/pins names: its SHA-512 is ${sha512}`,
      );
    }
    const wanted = ['package/bin/node', 'package/LICENSE'];
    run('tar', ['-xzf', archive, '-C', temporary, '--strip-components=1', ...wanted]);
    rmSync(archive);
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another build may have been quicker.
    if (!existsSync(folder)) throw error;
  }
}
