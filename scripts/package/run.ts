import { spawnSync } from 'node:child_process';

/** Runs a program to its end; throws with what it said. */
export function run(program: string, args: readonly string[], options: { cwd?: string } = {}): void {
  const child = spawnSync(program, args, { ...options, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.error) throw new Error(`${program}: ${child.error.message}`);
  if (child.status !== 0) throw new Error(`${program} ${args.join(' ')}:\n${child.stderr || child.stdout}`);
}
