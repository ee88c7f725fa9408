/** The executables that a runtime looks for: weft, and `loopback`, which containerd executes for every pod. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { type Check, type Finding, ok } from '../finding.ts';

/** The specification's example, and Debian's. */
const directories = ['/opt/cni/bin', '/usr/lib/cni'];

const needs = {
  weft: 'runtimes cannot make pods with weft',
  loopback: 'containerd makes no pods at all',
} as const;

export const pluginFiles: Check = {
  name: 'plugins',
  title: 'CNI plugins',
  look: () =>
    (Object.keys(needs) as (keyof typeof needs)[]).map((name): Finding => {
      const found = directories.filter((directory) => isExecutable(join(directory, name)));
      if (found.length) return ok(found.map((directory) => join(directory, name)).join(', '), name);
      return {
        severity: 'failed',
        subject: name,
        found: `not in ${directories.join(' or ')}: ${needs[name]}`,
        wanted: `the executable /opt/cni/bin/${name}`,
        remedy: 'install the package weft, or run "weftctl plugins install"',
      };
    }),
};

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
