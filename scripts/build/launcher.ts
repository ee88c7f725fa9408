import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cniVersions, newestCniVersion } from '../../plugin/protocol/version.ts';
import { compile, findCompiler } from './compile.ts';
import { installLink } from './place.ts';

/** How the relay is compiled: `flags` first, then what each kind adds. */
export const relay = {
  sources: ['relay', 'call', 'agent', 'unanswered', 'text'].map((name) => `plugin/launcher/${name}.c`),
  /** What takes the place of the C library in the kind `bare`. */
  bareSources: ['plugin/launcher/bare.c'],
  /** It answers VERSION by itself, so it is told what weft knows; JSON's string literals are C's. */
  flags: [
    `-DCNI_VERSIONS=${JSON.stringify(JSON.stringify(cniVersions))}`,
    `-DNEWEST_CNI_VERSION=${JSON.stringify(newestCniVersion)}`,
  ],
  bare: [
    ...'-static -nostdlib -nostartfiles -fno-pie -no-pie -mstack-protector-guard=global'.split(' '),
    ...'-U_FORTIFY_SOURCE -Wl,-z,noseparate-code,--build-id=none,-z,noexecstack'.split(' '),
  ],
  static: ['-static', '-Wl,-z,relro,-z,now'],
  dynamic: ['-Wl,-z,relro,-z,now'],
  sanitized: ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-U_FORTIFY_SOURCE'],
} as const;

/** The files of one kind, and its flags. */
export const relayOf = (kind: 'bare' | 'static' | 'dynamic' | 'sanitized') => ({
  sources: [...relay.sources, ...(kind === 'bare' ? relay.bareSources : [])],
  flags: [...relay.flags, ...relay[kind]],
});

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
  const kind = buildRelay({
    root: options.root,
    output,
    // A system may have a compiler without the static C library: the relay then takes a little longer to start.
    kinds: ['bare', 'static', 'dynamic'],
    compiler,
    run: [],
  });
  return `the relay, ${kind}, by ${compiler}`;
}

/** Makes `output` of the first of the kinds that can be compiled and runs, by `run output`. Returns which it is. */
export function buildRelay<Kind extends 'bare' | 'static' | 'dynamic'>(request: {
  root: string;
  output: string;
  kinds: readonly Kind[];
  compiler: string;
  run: readonly string[];
}): Kind {
  const { root, output, kinds, compiler, run } = request;
  const failures: string[] = [];
  for (const kind of kinds) {
    const { sources, flags } = relayOf(kind);
    const failure =
      compile({ compiler, sources: sources.map((source) => join(root, source)), output, flags }) ??
      trial([...run, output]);
    if (failure === undefined) return kind;
    failures.push(failure);
  }
  throw new Error(`${compiler} does not compile the relay:\n${failures.join('\n')}`);
}

/** Static programs, each of one source file. */
const programs = {
  pause: { source: 'pod/pause/pause.c', flags: [], without: 'pods on Docker need --pause-image' },
  loopback: {
    source: 'plugin/loopback/loopback.c',
    flags: relay.flags,
    without: 'containerd needs the package containernetworking-plugins',
  },
} as const;

export type ProgramName = keyof typeof programs;

/** Source and flags of a static program, also for a cross compiler. */
export const programOf = (name: ProgramName) => ({
  sources: [programs[name].source],
  flags: [...programs[name].flags, ...relay.static],
});

/** Makes a static program at `path`. Returns what was made, for people. */
export function buildProgram({
  root,
  name,
  path,
}: {
  root: string;
  name: ProgramName;
  path: string;
}): string {
  const compiler = findCompiler();
  if (compiler === undefined) return `missing, so ${programs[name].without}`;
  const { sources, flags } = programOf(name);
  const failure = compile({
    compiler,
    sources: sources.map((source) => join(root, source)),
    output: path,
    flags,
  });
  if (failure !== undefined) throw new Error(`${compiler} does not compile ${path}:\n${failure}`);
  return `static, by ${compiler}`;
}

/** What is wrong with it, if it does not even say its versions. */
function trial(command: readonly string[]): string | undefined {
  const [program = '', ...args] = command;
  const run = spawnSync(program, args, { env: { CNI_COMMAND: 'VERSION' }, input: '{}', encoding: 'utf8' });
  if (run.status === 0 && run.stdout.includes(newestCniVersion)) return undefined;
  return `${command.join(' ')} does not run: ${run.error?.message ?? run.signal ?? run.stdout}`;
}
