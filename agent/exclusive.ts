/**
 * One agent per directory: two agents of one runDir or stateDir would hold one lease and answer for one node. The lock
 * (flock(2)) is on the directory itself, needs no room on its disk, and ends with the process.
 */
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '../kernel/ffi.ts';
import { reasonOf } from '../problem/reason.ts';
import { AgentError } from './errors.ts';

/** An agent that was killed keeps its files open while one of its threads is in the kernel. */
const VACATED_MS = 2_000;
const RETRY_MS = 50;

/**
 * Holds the directories until the process ends, calls that are answered while it stops included.
 *
 * @throws AgentError `listen` where another agent has one of them, `state` where one cannot be opened
 */
export async function holdExclusively(directories: readonly string[]): Promise<void> {
  for (const directory of new Set(directories)) await lock(directory);
}

async function lock(directory: string): Promise<void> {
  const fd = open(directory);
  try {
    for (const begunMs = performance.now(); !tryLock(fd, `lock ${directory}`); await delay(RETRY_MS)) {
      if (performance.now() - begunMs < VACATED_MS) continue;
      throw new AgentError('listen', `another weftd uses ${directory}: stop it, or set another directory`);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function open(directory: string): number {
  try {
    return openSync(directory, 'r');
  } catch (error) {
    throw new AgentError('state', `failed to open ${directory}: ${reasonOf(error)}`, { cause: error });
  }
}
