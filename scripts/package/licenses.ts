/** The licences of what is bundled: every package that package-lock.json has for run time. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Paths of licence files by the package's name; throws for an installed package that has none. */
export function bundledLicenses(root: string): Map<string, string> {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const packages: Record<string, { dev?: boolean }> = lock.packages;
  const licenses = new Map<string, string>();
  for (const [path, { dev }] of Object.entries(packages)) {
    // Not installed: the native parts for other machines.
    if (path === '' || dev || !existsSync(join(root, path))) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    licenses.set(name, findLicense(join(root, path)));
  }
  return licenses;
}

/** A licence of its own, or failing that the page or the manifest that names it. */
function findLicense(folder: string): string {
  const files = readdirSync(folder);
  const found =
    files.find((file) => /^(licen[cs]e|copying)/i.test(file)) ??
    files.find((file) => /^readme/i.test(file)) ??
    files.find((file) => file === 'package.json');
  if (!found) throw new Error(`${basename(folder)} has no licence file`);
  return join(folder, found);
}
