/**
 * Runs weft-podd: from the first applied pod until no pod is desired and no DEL is outstanding. One process per
 * stateDir, under a lock. Pods keep running when it stops.
 */
import { closeSync, type FSWatcher, openSync, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { lockAsync, tryLock } from '../../kernel/ffi.ts';
import type { Log } from '../../log/log.ts';
import { PodFiles, startTicksOf } from '../control/files.ts';
import { PodError } from '../errors.ts';
import { Keeper } from './keeper.ts';

export interface DaemonOptions {
  readonly stateDir: string;
  readonly runDir: string;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** The daemon has started, and weftctl may rely on it. */
  readonly onReady: () => void;
  readonly signal: AbortSignal;
}

/** Where the kernel's limit of watches is reached, the folder is polled. */
const pollMs = 2_000;
/** How often to look whether the keeper of another process has ended: it sends no notification. */
const takeoverMs = 200;

/**
 * Resolves when no pod is desired and no DEL is outstanding, or when the signal has fired.
 *
 * @throws PodError `running` where another one runs
 */
export async function runPodDaemon(options: DaemonOptions): Promise<void> {
  const { log, env, signal } = options;
  const files = new PodFiles(options);
  files.makeFolders();
  const lock = openSync(files.lockPath, 'a', 0o600);
  try {
    await takeLock(lock, files, options);
    await waitForKeeper(files, options);
    const tell = (away: string | undefined) =>
      files.writeKeeper({ pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', away });
    if (signal.aborted) return;
    const over = new AbortController();
    const onDocker = (away: string | undefined) => {
      // Once it has left, weftctl relies on there being no keeper.
      if (!over.signal.aborted) tell(away);
    };
    tell(undefined);
    options.onReady();
    const either = AbortSignal.any([signal, over.signal]);
    const endIfIdle = (): void => {
      leaveIfIdle(files).then(
        (left) => {
          if (left) over.abort();
        },
        (error: unknown) => log.error('pods.listFailed', { err: error }),
      );
    };
    const keeper = new Keeper({ files, log, env, onDocker, onGone: endIfIdle, signal: either });
    const close = watchFolder(files.wantedDir, {
      look: () => {
        keeper.sync();
        endIfIdle();
      },
      log,
    });
    try {
      endIfIdle();
      await keeper.run();
    } finally {
      close();
      // weftctl must not rely on a process that is ending.
      if (!over.signal.aborted) files.removeKeeper();
    }
  } finally {
    closeSync(lock);
  }
}

/** One that is about to end, or to begin, has the lock and is no keeper. */
async function takeLock(lock: number, files: PodFiles, { stateDir, signal }: DaemonOptions): Promise<void> {
  while (!signal.aborted && !tryLock(lock, `lock ${files.lockPath}`)) {
    if (files.keeper()) throw new PodError('running', `weft-podd is already running for ${stateDir}`);
    await delay(takeoverMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Until weftd of version 0.1.0, which kept the pods itself, was restarted by the upgrade. */
async function waitForKeeper(files: PodFiles, { log, signal }: DaemonOptions): Promise<void> {
  let told = false;
  for (;;) {
    const keeper = files.keeper();
    if (!keeper || keeper.pid === process.pid || signal.aborted) return;
    if (!told) log.info('pods.waitingForKeeper', { pid: keeper.pid });
    told = true;
    await delay(takeoverMs, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * Whether no pod is desired and no DEL is outstanding: then the process is no longer a keeper. weftctl writes an
 * order, and looks whether there is a keeper, under the same lock: no order can fall in between.
 */
async function leaveIfIdle(files: PodFiles): Promise<boolean> {
  if (files.keys().size > 0) return false;
  const gate = openSync(files.gatePath, 'a', 0o600);
  try {
    await lockAsync(gate, `lock ${files.gatePath}`);
    if (files.keys().size > 0) return false;
    files.removeKeeper();
    return true;
  } finally {
    closeSync(gate);
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
