/** The package that `npm run package` made, unpacked, and variants of it. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
export const packageFolder = join(root, 'dist/package');

const suffixes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x64: { '.tar.gz': '-linux-x64.tar.gz', '.deb': '_amd64.deb' },
  arm64: { '.tar.gz': '-linux-arm64.tar.gz', '.deb': '_arm64.deb' },
};

/** The package of dist/package of that kind, for an architecture as Node.js names it. Throws where it has not been made. */
export function packaged(kind: '.tar.gz' | '.deb', arch: string = process.arch): string {
  const suffix = suffixes[arch]?.[kind] ?? kind;
  const name = readdirSync(packageFolder).find((file) => file.endsWith(suffix));
  if (!name) throw new Error(`dist/package has no *${suffix}: run "npm run package" first`);
  return join(packageFolder, name);
}

/** Unpacked packages below a folder that goes when the process ends. */
export class Packages {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-packages-'));

  constructor() {
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }));
    // Whoever is not root has to find it, too.
    chmodSync(this.#folder, 0o755);
    mkdirSync(this.original);
    execFileSync('tar', ['-xzf', packaged('.tar.gz'), '-C', this.original, '--strip-components=1']);
  }

  get original(): string {
    return join(this.#folder, 'original');
  }

  get version(): string {
    return readFileSync(join(this.original, 'VERSION'), 'utf8').trim();
  }

  /** The package with other files; valid, as if built so. */
  variant(name: string, files: Readonly<Record<string, string>>): string {
    const folder = join(this.#folder, name);
    cpSync(this.original, folder, { recursive: true });
    const list = join(folder, 'SHA256SUMS');
    let sums = readFileSync(list, 'utf8');
    for (const [path, content] of Object.entries(files)) {
      writeFileSync(join(folder, path), content);
      const sum = createHash('sha256').update(content).digest('hex');
      sums = sums.replace(new RegExp(`^[0-9a-f]{64}  ${path}$`, 'm'), `${sum}  ${path}`);
    }
    writeFileSync(list, sums);
    return folder;
  }
}
