import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cniVersions, newestCniVersion } from '../../plugin/protocol/version.ts';
import { findProgram } from '../needs.ts';
import { installLink, temporaryPath } from './place.ts';

const warnings = '-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wformat=2 -Werror'.split(' ');
const hardening = '-O2 -std=gnu11 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wl,-z,relro,-z,now'.split(
  ' ',
);

/** The relay answers VERSION by itself, so it is told what weft knows; JSON's string literals are C's. */
export const definitions = [
  `-DCNI_VERSIONS=${JSON.stringify(JSON.stringify(cniVersions))}`,
  `-DNEWEST_CNI_VERSION=${JSON.stringify(newestCniVersion)}`,
];
export const relaySource = (root: string): string => join(root, 'plugin/launcher/relay.c');

/**
 * Makes `<directory>/weft`, what a runtime executes: the relay, or where no C compiler is there the standalone
 * plugin under that name. Returns what it has become, for people.
 */
export async function buildLauncher(options: { root: string; directory: string }): Promise<string> {
  const path = join(options.directory, 'weft');
  const compiler = ['cc', 'gcc', 'clang'].map(findProgram).find((found) => found !== undefined);
  if (compiler === undefined) {
    installLink({ path, target: 'weft-standalone' });
    return 'the standalone plugin: there is no C compiler (cc, gcc, clang), so every call will start node';
  }
  const temporary = temporaryPath(path);
  const common = [...hardening, ...warnings, ...definitions, '-o', temporary, relaySource(options.root)];
  // A system may have a compiler without the static C library: the relay then takes a little longer to start.
  const failures: string[] = [];
  for (const kind of ['static', 'dynamic'] as const) {
    const args = kind === 'static' ? ['-static', ...common] : common;
    const run = spawnSync(compiler, args, { encoding: 'utf8' });
    if (run.status === 0) {
      renameSync(temporary, path);
      return `the relay, ${kind}, by ${compiler}`;
    }
    failures.push(run.error?.message ?? run.stderr);
  }
  rmSync(temporary, { force: true });
  throw new Error(`${compiler} does not compile the relay:\n${failures.join('\n')}`);
}
