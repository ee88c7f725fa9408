import { join } from 'node:path';
import { cniVersions, newestCniVersion } from '../../plugin/protocol/version.ts';
import { compile, findCompiler } from './compile.ts';
import { installLink } from './place.ts';

/** How the relay is compiled: `flags` first, then what each kind adds. */
export const relay = {
  source: 'plugin/launcher/relay.c',
  /** It answers VERSION by itself, so it is told what weft knows; JSON's string literals are C's. */
  flags: [
    `-DCNI_VERSIONS=${JSON.stringify(JSON.stringify(cniVersions))}`,
    `-DNEWEST_CNI_VERSION=${JSON.stringify(newestCniVersion)}`,
  ],
  static: ['-static', '-Wl,-z,relro,-z,now'],
  dynamic: ['-Wl,-z,relro,-z,now'],
  sanitized: ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-U_FORTIFY_SOURCE'],
} as const;

/**
 * Makes `<directory>/weft`, what a runtime executes: the relay, or where no C compiler is there the standalone
 * plugin under that name. Returns what it has become, for people.
 */
export function buildLauncher(options: { root: string; directory: string }): string {
  const output = join(options.directory, 'weft');
  const compiler = findCompiler();
  if (compiler === undefined) {
    installLink({ path: output, target: 'weft-standalone' });
    return 'the standalone plugin: without a C compiler (apt-get install gcc libc6-dev) every call starts node';
  }
  const failures: string[] = [];
  // A system may have a compiler without the static C library: the relay then takes a little longer to start.
  for (const kind of ['static', 'dynamic'] as const) {
    const flags = [...relay.flags, ...relay[kind]];
    const failure = compile({ compiler, source: join(options.root, relay.source), output, flags });
    if (failure === undefined) return `the relay, ${kind}, by ${compiler}`;
    failures.push(failure);
  }
  throw new Error(`${compiler} does not compile the relay:\n${failures.join('\n')}`);
}

/**
 * Makes `<path>`, the first process of a pod on Docker: static, for it is alone in its image. Returns what was made of
 * it, for people.
 */
export function buildPause({ root, path }: { root: string; path: string }): string {
  const compiler = findCompiler();
  if (compiler === undefined) return 'missing, so pods on Docker need --pause-image';
  const failure = compile({
    compiler,
    source: join(root, 'pod/pause/pause.c'),
    output: path,
    flags: relay.static,
  });
  if (failure !== undefined) throw new Error(`${compiler} does not compile the pause program:\n${failure}`);
  return `static, by ${compiler}`;
}
