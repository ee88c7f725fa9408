/** Waits for what the agent makes of a pod, and tells what it tells. */
import { watch } from 'node:fs';
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import type { PodFiles } from './files.ts';
import type { PodEvent, PodStatus } from './status.ts';

export interface Following {
  readonly files: PodFiles;
  readonly key: PodKey;
  readonly onEvent: (event: PodEvent) => void;
  readonly timeoutMs: number;
}

/** A change of the files is noticed at once; one that is not, by then. */
const pollMs = 500;

/**
 * Looks at the pod's status whenever it changes, until `look` answers something.
 *
 * @throws PodError `agent` when the time is over, or the agent is gone
 */
export async function follow<T>(
  { files, key, onEvent, timeoutMs }: Following,
  look: (status: PodStatus | undefined) => T | undefined,
): Promise<T> {
  const since = Date.now();
  let told = files.status(key)?.events.at(-1)?.number ?? 0;
  for (;;) {
    const status = files.status(key);
    for (const event of status?.events ?? []) {
      if (event.number <= told) continue;
      told = event.number;
      onEvent(event);
    }
    const answer = look(status);
    if (answer !== undefined) return answer;
    refuseWithoutKeeper(files);
    if (Date.now() - since > timeoutMs) {
      const now = status ? `${status.reason}${status.message ? `: ${status.message}` : ''}` : 'not begun';
      throw new PodError(
        'agent',
        `after ${timeoutMs / 1000} s it is still ${now}; weftctl pod ls tells how it goes on`,
      );
    }
    await changed(files.statusDir);
  }
}

/** @throws PodError `agent` where no agent runs, or it has no Docker */
export function refuseWithoutKeeper(files: PodFiles): void {
  const keeper = files.keeper();
  if (!keeper) {
    throw new PodError('agent', 'weftd does not run on this host: start it (systemctl start weftd)');
  }
  if (keeper.away !== undefined) throw new PodError('docker', keeper.away);
}

function changed(folder: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      watcher.close();
      resolve();
    };
    const watcher = watch(folder, done);
    watcher.on('error', done);
    const timer = setTimeout(done, pollMs);
  });
}
