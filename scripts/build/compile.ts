/** The system's C compiler, for the few lines that are no TypeScript. */
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { findProgram } from '../needs.ts';
import { temporaryPath } from './place.ts';

const always = [
  ...'-std=gnu11 -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong'.split(' '),
  ...'-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wformat=2 -Werror'.split(' '),
];

/** A compiler that makes a program; undefined where there is none, or one without the C library's headers. */
export function findCompiler(): string | undefined {
  return ['cc', 'gcc', 'clang'].map(findProgram).find((compiler) => {
    if (compiler === undefined) return false;
    const probe = ['-x', 'c', '-', '-o', '/dev/null'];
    return (
      spawnSync(compiler, probe, { input: '#include <stdio.h>\nint main(void) { return 0; }\n' }).status === 0
    );
  });
}

/** Compiles a program, with warnings as errors, and puts the program in place whole. Returns what went wrong. */
export function compile(options: {
  compiler: string;
  sources: readonly string[];
  output: string;
  flags: readonly string[];
}): string | undefined {
  const temporary = temporaryPath(options.output);
  const args = [...always, ...options.flags, '-o', temporary, ...options.sources];
  const run = spawnSync(options.compiler, args, { encoding: 'utf8' });
  if (run.status === 0) {
    renameSync(temporary, options.output);
    return undefined;
  }
  rmSync(temporary, { force: true });
  return run.error?.message ?? run.stderr;
}
