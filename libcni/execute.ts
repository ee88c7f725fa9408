/** Executes a plugin as a runtime does (`pkg/invoke` of the CNI repository): environment, standard input. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from '../kernel/errno.ts';
import { NetworkError } from './errors.ts';

export interface PluginProcess {
  /** The plugin's type: the name of its executable. */
  readonly type: string;
  /** Where executables are looked for, in this order (CNI_PATH). */
  readonly pluginDirs: readonly string[];
  /**
   * A command that the plugin's own is appended to, such as `nsenter --net=... --mount=... --`: the
   * directories are then those of the namespace that it enters.
   */
  readonly prefix?: readonly string[] | undefined;
  /** CNI's variables; the caller's own environment is beneath them. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** Kills the plugin (SIGKILL, as runtimes do). */
  readonly signal?: AbortSignal | undefined;
}

export interface PluginExit {
  /** Exit status; for a plugin that was killed 128 and the signal's number, as a shell has it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An executable that is just being written, on an upgrade that copies instead of renaming. */
const busy = { code: 'ETXTBSY', attempts: 6, pauseMilliseconds: 1000 };

/** NetworkError if there is no such executable; an AbortError if the signal came first. */
export async function executePlugin(plugin: PluginProcess): Promise<PluginExit> {
  const { prefix = [] } = plugin;
  const [command, ...args] = await commandOf(plugin);
  const env = { ...process.env, ...plugin.env, CNI_PATH: plugin.pluginDirs.join(':') };
  for (let attempt = 1; ; attempt++) {
    try {
      const { signal } = plugin;
      const child = spawn(command, args, { env, killSignal: 'SIGKILL', ...(signal && { signal }) });
      const exit = await outcomeOf(child, plugin.stdin);
      if (prefix.length > 0 && exit.status === notFoundStatus && exit.stdout === '') throw notFound(plugin);
      return exit;
    } catch (error) {
      plugin.signal?.throwIfAborted();
      if (!isErrno(error, busy.code) || attempt === busy.attempts) throw error;
      await delay(busy.pauseMilliseconds, undefined, { signal: plugin.signal });
    }
  }
}

async function commandOf(plugin: PluginProcess): Promise<[command: string, ...args: string[]]> {
  const { type, pluginDirs, prefix = [] } = plugin;
  const paths = pluginDirs.map((folder) => join(folder, type));
  const [command, ...args] = prefix;
  // Only behind the prefix can be seen which files exist there.
  if (command !== undefined) return [command, ...args, '/bin/sh', '-c', firstExecutable, type, ...paths];
  for (const path of paths) {
    if (await isExecutable(path)) return [path];
  }
  throw notFound(plugin);
}

/** Exit status of the script below where there is nothing to execute; a shell's own for "not found". */
const notFoundStatus = 127;

const firstExecutable = `for f; do if [ -x "$f" ]; then exec "$f"; fi; done; exit ${notFoundStatus}`;

async function outcomeOf(child: ChildProcessWithoutNullStreams, stdin: string): Promise<PluginExit> {
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
  child.stdin.on('error', (error) => {
    // A plugin need not read what it does not need (VERSION).
    if (!isErrno(error, 'EPIPE')) child.emit('error', error);
  });
  child.stdin.end(stdin);
  const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr };
}

const notFound = ({ type, pluginDirs }: PluginProcess): NetworkError =>
  new NetworkError(`plugin ${JSON.stringify(type)} is in none of ${pluginDirs.join(', ')}`);

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

const signalNumber = (signal: NodeJS.Signals | null): number =>
  signal === null ? 0 : (osConstants.signals[signal] ?? 0);
