/**
 * Tells a restart of this agent from another agent with the same node id. Drawn once per boot and kept in runDir: a
 * machine that is cloned with its disk has a copy of stateDir, but nothing of /run.
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../../disk/replace-file.ts';
import { readJsonFile } from './read-json.ts';

const pathIn = (folder: string): string => join(folder, 'run.json');

/** On disk before it is used. Throws `AgentError` `state`. */
export function ensureRun(at: { runDir: string; stateDir: string; boot: string }): string {
  const { runDir, stateDir, boot } = at;
  const known = readRun(runDir, boot);
  if (known !== undefined) return known;
  const run = readRun(stateDir, boot) ?? randomUUID();
  replaceFile({ path: pathIn(runDir), content: `${JSON.stringify({ boot, run })}\n` });
  rmSync(pathIn(stateDir), { force: true });
  return run;
}

/**
 * Before runDir is removed while stateDir stays: the next agent here counts as a restart of this one.
 *
 * @throws AgentError `state`
 */
export function keepRun({ runDir, stateDir }: { runDir: string; stateDir: string }): void {
  const known = readJsonFile(pathIn(runDir));
  if (known.kind !== 'object') return;
  replaceFile({ path: pathIn(stateDir), content: `${JSON.stringify(known.object)}\n` });
}

/** Undefined where no agent has been started with this runDir since the machine booted. */
export function readRun(folder: string, boot: string): string | undefined {
  const known = readJsonFile(pathIn(folder));
  if (known.kind !== 'object') return undefined;
  const { object } = known;
  return object.boot === boot && typeof object.run === 'string' ? object.run : undefined;
}
