/**
 * What tells this agent's restarts from another agent with the same node id: drawn once per boot and kept in runDir,
 * for a machine that is copied with its disk has a copy of stateDir, and nothing of what /run had.
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readObject, replaceFile } from './saved.ts';

const pathIn = (folder: string): string => join(folder, 'run.json');

/** On disk before it is used. */
export function ensureRun(at: { runDir: string; stateDir: string; boot: string }): string {
  const { runDir, stateDir, boot } = at;
  const known = readRun(runDir, boot);
  if (known !== undefined) return known;
  const run = readRun(stateDir, boot) ?? randomUUID();
  replaceFile(pathIn(runDir), JSON.stringify({ boot, run }));
  rmSync(pathIn(stateDir), { force: true });
  return run;
}

/** For whoever is about to remove runDir, and keeps stateDir: the next agent here is this one started again. */
export function keepRun({ runDir, stateDir }: { runDir: string; stateDir: string }): void {
  const known = readObject(pathIn(runDir));
  if (known) replaceFile(pathIn(stateDir), JSON.stringify(known));
}

/** Undefined where no agent has been started with this runDir since the machine booted. */
export function readRun(folder: string, boot: string): string | undefined {
  const known = readObject(pathIn(folder));
  return known?.boot === boot && typeof known.run === 'string' ? known.run : undefined;
}
