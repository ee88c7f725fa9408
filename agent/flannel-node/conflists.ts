/** flannel's CNI configuration on a node, set aside while weft makes the pods. */
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../kernel/errno.ts';

/** No runtime reads a file with this end. */
const aside = '.replaced-by-weft';

/** Sets every configuration with the plugin `flannel` aside; returns the files' names. */
export function setAside(directory: string): string[] {
  const files = namesIn(directory).filter(
    (name) => /\.(conf|conflist|json)$/.test(name) && hasFlannel(join(directory, name)),
  );
  for (const name of files) renameSync(join(directory, name), join(directory, `${name}${aside}`));
  return files;
}

/** Puts back what `setAside` set aside; returns the files' names. */
export function putBack(directory: string): string[] {
  const files = namesIn(directory).filter((name) => name.endsWith(aside));
  for (const name of files) renameSync(join(directory, name), join(directory, name.slice(0, -aside.length)));
  return files.map((name) => name.slice(0, -aside.length));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** As a runtime reads it: a list of plugins, or one. What is no JSON is no configuration of flannel's. */
function hasFlannel(path: string): boolean {
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as {
      type?: unknown;
      plugins?: { type?: unknown }[];
    } | null;
    const plugins = Array.isArray(read?.plugins) ? read.plugins : [read];
    return plugins.some((plugin) => plugin?.type === 'flannel');
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
