/** The `nft` program, for what is rare and large: whole rule sets. */
import { spawnSync } from 'node:child_process';
import { NftError } from './errors.ts';

/**
 * Applies commands in nft's language as one transaction, in the calling thread's network namespace.
 *
 * @throws NftError with what nft said, where it refused (nothing has changed then) or is missing.
 */
export function applyRules(commands: string): void {
  runNft(['-f', '-'], commands);
}

/** Runs `nft` and returns what it printed; `applyRules` says how it fails. */
export function runNft(args: readonly string[], input = ''): string {
  const child = spawnSync('nft', args, {
    input,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  });
  if (child.error && 'code' in child.error && child.error.code === 'ENOENT') {
    throw new NftError('nft is not installed: install the package nftables', input);
  }
  if (child.error) throw new NftError(`nft: ${child.error.message}`, input);
  if (child.status !== 0) throw new NftError(`nft: ${firstLine(child.stderr)}`, input);
  return child.stdout;
}

/** The rest repeats the commands or follows from the first complaint. */
const firstLine = (output: string): string => output.trim().split('\n', 1)[0] ?? '';
