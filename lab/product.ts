/** Where weft's own executables are: in `dist/` of the package that this file belongs to. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from './errors.ts';

export interface Product {
  /** The package's folder. */
  readonly root: string;
  readonly weftd: string;
  /** Folder of the CNI executables. */
  readonly cni: string;
}

/** Throws `LabError` if it has not been built. */
export function findProduct(): Product {
  const root = packageRoot();
  const product = { root, weftd: join(root, 'dist/bin/weftd'), cni: join(root, 'dist/cni') };
  for (const path of [product.weftd, join(product.cni, 'weft')]) {
    if (!existsSync(path)) throw new LabError(`${path} is missing: run "npm run build" in ${root}`);
  }
  return product;
}

/** The nearest folder above this file whose package.json says `weft`: from `build/`, `dist/`, or installed. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'weft') return folder;
    if (folder === dirname(folder))
      throw new LabError('weft is not inside its package: package.json is missing');
  }
}
