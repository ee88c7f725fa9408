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
 * The nearest folder above the running program, else above the working directory, whose package.json says `weft`:
 * from `build/`, from `dist/` or installed. A bundle does not know the path of its modules, hence the program's.
 */
export function packageRoot(): string {
  const starts = [dirname(realpathSync(process.argv[1] ?? '.')), process.cwd()];
  const root = starts.flatMap(above).find(isPackage);
  if (!root) throw new LabError(`weft's package.json is in no folder above ${starts.join(' or ')}`);
  return root;
}

/** The folder and all that it is in, nearest first. */
const above = (folder: string): string[] =>
  folder === dirname(folder) ? [folder] : [folder, ...above(dirname(folder))];

function isPackage(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'weft';
}
