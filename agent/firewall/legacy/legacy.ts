/** iptables-legacy beside nftables: its rules are read and changed by its own programs, where it is in use at all. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isErrno } from '../../../kernel/errno.ts';
import type { Hook, Passage } from '../foreign.ts';
import type { FirewallPass } from '../pass.ts';
import { type LegacyStep, planLegacy } from './plan.ts';
import { parseLegacy } from './rules.ts';

/** The kernel notifies of no change to these tables. */
const LOOK_AGAIN_MS = 15_000;

const programs = [
  { family: 'ip', program: 'iptables-legacy', tables: 'ip_tables_names' },
  { family: 'ip6', program: 'ip6tables-legacy', tables: 'ip6_tables_names' },
] as const;
type Program = (typeof programs)[number];

/** The families in whose filter table there may be rules, in the calling thread's namespace. Two small reads. */
export const legacyFamilies = (): Program['family'][] => inUse().map(({ family }) => family);

const inUse = (): Program[] => programs.filter(({ tables }) => readNames(tables).includes('filter'));

function readNames(file: string): string[] {
  try {
    return readFileSync(`/proc/thread-self/net/${file}`, 'utf8').split('\n');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []; // the kernel has no iptables-legacy, or nobody has used it
    throw error;
  }
}

/** Makes it so; with no passages, removes what is weft's. */
export function ensureLegacy(passages: readonly Passage[]): FirewallPass {
  const done: string[] = [];
  const problems: string[] = [];
  for (const each of inUse()) {
    try {
      for (const { args, reason } of stepsFor(each, passages)) {
        run(each.program, args);
        done.push(reason);
      }
    } catch (error) {
      if (!(error instanceof LegacyError)) throw error;
      problems.push(error.message);
    }
  }
  return { done, problems, retryInMs: inUse().length ? LOOK_AGAIN_MS : undefined };
}

/** What `ensureLegacy` would do, in words, doing nothing. */
export function planLegacyRules(passages: readonly Passage[]): string[] {
  return inUse().flatMap((each) => {
    try {
      return stepsFor(each, passages).map(({ reason }) => reason);
    } catch (error) {
      if (!(error instanceof LegacyError)) throw error;
      return [];
    }
  });
}

function stepsFor({ family, program }: Program, passages: readonly Passage[]): LegacyStep[] {
  const hooks = new Set<Hook>(
    passages.filter(({ families }) => families.includes(family)).map(({ hook }) => hook),
  );
  return planLegacy(parseLegacy(run(program, ['-S'])), hooks, program);
}

class LegacyError extends Error {}

/** How long another program may hold the lock. */
const LOCK_SECONDS = '5';

function run(program: string, args: readonly string[]): string {
  const child = spawnSync(program, ['-w', LOCK_SECONDS, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  });
  if (child.status === 0) return child.stdout;
  const missing = child.error && 'code' in child.error && child.error.code === 'ENOENT';
  const why = missing
    ? 'it is not installed'
    : (child.error?.message ?? child.stderr.trim().split('\n', 1)[0]);
  throw new LegacyError(
    `failed to read or change the filter table of ${program}: ${why}; its rules may drop pods' packets: install ` +
      `iptables, or have it accept packets with mark 0x1000/0x1000 in FORWARD, INPUT and OUTPUT`,
  );
}
