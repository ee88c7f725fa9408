/** What the tests of the diagnosis stand on: a break, the command that has to name it, and that all is well again. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabNode } from '../../lab/node.ts';

export interface Found {
  readonly check: string;
  readonly severity: 'ok' | 'warning' | 'failed' | 'unknown';
  readonly subject?: string;
  readonly found: string;
  readonly wanted?: string;
  readonly remedy?: string;
  readonly fix?: string;
}

export const weftctl = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');

/** What `weftctl doctor` finds on a node. */
export async function doctorOn(
  node: LabNode,
  ...args: string[]
): Promise<{ status: number; found: Found[] }> {
  const { status, stdout, stderr } = await node.exec([weftctl, 'doctor', '-o', 'json', ...args]);
  assert.ok(stdout, stderr);
  return { status: status ?? -1, found: JSON.parse(stdout).findings };
}

/** Findings that are neither well nor unknown, one line each. */
export const wrongIn = (found: readonly Found[]): string[] =>
  found
    .filter(({ severity }) => severity === 'failed' || severity === 'warning')
    .map((each) => `${each.severity} ${each.check}: ${each.subject ?? ''} ${each.found}`);

export interface Named {
  readonly check: string;
  /** Its subject and what was found. */
  readonly cause: RegExp;
  /** What mends it. */
  readonly remedy?: RegExp;
}

/** Asserts that the cause is among what is wrong, with its remedy. */
export function assertNamed(found: readonly Found[], { check, cause, remedy }: Named): void {
  const wrong = found.filter(({ severity }) => severity === 'failed' || severity === 'warning');
  const named = wrong.find(
    (each) => each.check === check && cause.test(`${each.subject ?? ''} ${each.found}`),
  );
  assert.ok(named, `${check} ${cause} is not among:\n${wrongIn(found).join('\n')}`);
  if (remedy) assert.match(named.remedy ?? '', remedy);
}
