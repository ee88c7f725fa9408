/** Waits for a pod, and passes its events on. */
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

/** A service manager starts the daemon again, and Docker is restarted, in less. */
const restartMs = 5_000;

/** A change of the files is noticed at once; one that is not, by then. */
const pollMs = 500;

/**
 * Looks at the pod's status whenever it changes, until `look` answers something.
 *
 * @throws PodError `daemon` on timeout, or where weft-podd does not run; `docker` where Docker is unreachable
 */
export async function follow<T>(
  { files, key, onEvent, timeoutMs }: Following,
  look: (status: PodStatus | undefined) => T | undefined,
): Promise<T> {
  const since = Date.now();
  let keptAt = since;
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
    const problem = keeperProblem(files);
    if (!problem) keptAt = Date.now();
    else if (Date.now() - keptAt > restartMs) throw problem;
    if (Date.now() - since > timeoutMs) {
      const now = status ? `${status.reason}${status.message ? `: ${status.message}` : ''}` : 'not started';
      throw new PodError(
        'daemon',
        `not finished after ${timeoutMs / 1000} s (${now}); it continues, see weftctl pod ls`,
      );
    }
    await changed(files.statusDir);
  }
}

/** Why nothing happens to the pods at the moment; undefined where weft-podd runs and has Docker. */
export function keeperProblem(files: PodFiles): PodError | undefined {
  const keeper = files.keeper();
  if (!keeper) {
    return new PodError('daemon', 'weft-podd is not running; start it (systemctl start weft-podd)');
  }
  return keeper.away === undefined ? undefined : new PodError('docker', keeper.away);
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
