/**
 * The agent's part in pods on Docker. While there are none it costs a watch on a folder: what talks to Docker is
 * loaded with the first pod.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodFiles, startTicksOf } from '../control/files.ts';
import type { Keeper } from './keeper.ts';

export interface KeepPodsOptions {
  readonly stateDir: string;
  readonly runDir: string;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Where the kernel has no watch left to give, the folder is looked at so often. */
const pollMs = 2_000;

/** Resolves when the signal has fired and all is let go of. The pods run on. */
export async function keepPods(options: KeepPodsOptions): Promise<void> {
  const { log, env, signal } = options;
  const files = new PodFiles(options);
  files.makeFolders();
  const tell = (away: string | undefined) =>
    files.writeKeeper({ pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', away });
  tell(undefined);
  let keeper: Keeper | undefined;
  let keeping: Promise<void> | undefined;
  const look = (): void => {
    keeper?.sync();
    if (signal.aborted || keeping || !hasPods(files, log)) return;
    keeping = (async () => {
      const { Keeper } = await import('./keeper.ts');
      keeper = new Keeper({ files, log, env, onDocker: tell, signal });
      await keeper.run();
    })().catch((error: unknown) => {
      log.error('pods.passFailed', { err: error });
      tell(reasonOf(error));
    });
  };
  await new Promise<void>((resolve) => {
    const close = watchFolder(files.wantedDir, { look, log });
    signal.addEventListener(
      'abort',
      () => {
        close();
        resolve();
      },
      { once: true },
    );
    if (signal.aborted) resolve();
    look();
  });
  await keeping;
}

function hasPods(files: PodFiles, log: Log): boolean {
  try {
    return files.keys().size > 0;
  } catch (error) {
    log.error('pods.listFailed', { err: error });
    return false;
  }
}

/** Returns what ends it. */
function watchFolder(folder: string, of: { look: () => void; log: Log }): () => void {
  let watcher: FSWatcher;
  try {
    watcher = watch(folder, of.look);
  } catch (error) {
    of.log.warn('pods.polling', { err: error });
    const timer = setInterval(of.look, pollMs);
    return () => clearInterval(timer);
  }
  watcher.on('error', (error) => of.log.error('pods.watchFailed', { err: error }));
  return () => watcher.close();
}
