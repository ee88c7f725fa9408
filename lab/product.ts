/** Where weft's own executables are: in `dist/` of the package that the running program belongs to. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

/**
 * The nearest folder above the program that runs whose package.json says `weft`: from `build/`, from `dist/`
 * or installed. The program's own path tells, since a bundle does not know that of its modules.
 */
export function packageRoot(program: string = process.argv[1] ?? ''): string {
  for (let folder = dirname(realpathSync(program)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'weft') return folder;
    if (folder === dirname(folder))
      throw new LabError(`${program} is not inside weft's package: its package.json is missing`);
  }
}
