/** The machine code of weft in a package, for this machine or, cross-compiled, for another. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../build/compile.ts';
import { buildRelay, programOf } from '../build/launcher.ts';
import { findProgram } from '../needs.ts';
import { ensureKoffi } from './koffi.ts';
import { isStaticElf } from './static-elf.ts';

/** Paths of files. */
export interface Natives {
  /** What a runtime executes. */
  readonly relay: string;
  /** The plugin that containerd executes for every sandbox beside the network's. */
  readonly loopback: string;
  /** The first process of a pod on Docker. */
  readonly pause: string;
  readonly koffi: string;
}

/** What the build made. Throws where its programs need the machine's libraries. */
export function ownNatives(root: string): Natives {
  const at = (path: string): string => join(root, 'dist', path);
  const natives = {
    relay: at('cni/weft'),
    loopback: at('cni/loopback'),
    pause: at('lib/pause'),
    koffi: at('native/koffi.node'),
  };
  if (!isStaticElf(natives.relay)) {
    throw new Error(
      'dist/cni/weft is not a static program: install a C compiler with the static C library (apt-get ' +
        'install gcc libc6-dev) and build again',
    );
  }
  return natives;
}

/** For another machine, in `folder`: by a cross compiler, and tried on its processor as qemu emulates it. */
export function foreignNatives(request: {
  root: string;
  /** As Node.js names it. */
  arch: string;
  /** As `uname -m` says it. */
  machine: string;
  /** As dpkg names it. */
  debian: string;
  folder: string;
}): Natives {
  const { root, arch, machine, debian, folder } = request;
  const gcc = `gcc-${machine.replace('_', '-')}-linux-gnu`;
  const compiler = findProgram(`${machine}-linux-gnu-gcc`);
  const emulator = findProgram(`qemu-${machine}`) ?? findProgram(`qemu-${machine}-static`);
  if (!compiler || !emulator) {
    throw new Error(
      `to package for ${arch} here a cross compiler and an emulator are needed: apt-get install ${gcc} ` +
        `libc6-dev-${debian}-cross qemu-user`,
    );
  }
  mkdirSync(folder, { recursive: true });
  const natives = {
    relay: join(folder, 'weft'),
    loopback: join(folder, 'loopback'),
    pause: join(folder, 'pause'),
  };
  buildRelay({ root, output: natives.relay, kinds: ['bare', 'static'], compiler, run: [emulator] });
  for (const name of ['loopback', 'pause'] as const) {
    const { sources, flags } = programOf(name);
    const files = sources.map((source) => join(root, source));
    const failure = compile({ compiler, sources: files, output: natives[name], flags });
    if (failure !== undefined) throw new Error(`${compiler} does not compile ${name}:\n${failure}`);
  }
  return {
    ...natives,
    koffi: ensureKoffi({ lock: readFileSync(join(root, 'package-lock.json'), 'utf8'), arch }),
  };
}
