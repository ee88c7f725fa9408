/** A process of the lab that outlives the caller: started as by a service manager, found again by its pid file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from './errors.ts';
import { processMark } from './names.ts';
import { NotifySocket } from './notify.ts';
import { identify, isRunning, type ProcessId, signalProcess } from './processes.ts';
import { loadProcess, saveProcess } from './state.ts';

const readyWithinMs = 20_000;
const askEveryMs = 25;
const goneWithinMs = 10_000;

export interface DaemonOptions {
  readonly lab: string;
  /** For messages: `weftd on node-1`. */
  readonly label: string;
  /** Where its output goes; kept over restarts. */
  readonly logFile: string;
  readonly pidFile: string;
  /** How it is known to be ready. */
  readonly ready: Readiness;
  /** Default 20 s. */
  readonly readyWithinMs?: number;
  /** What is executed; called at every start. */
  readonly command: () => readonly string[];
}

/**
 * `notify`: the socket on which it says so, by its path for us and for it. `ask`: where it has no such socket, a
 * question that is asked again until the answer is yes.
 */
export type Readiness =
  | { readonly notify: { readonly outside: string; readonly inside: string } }
  | { readonly ask: () => Promise<boolean> };

export class Daemon {
  readonly #options: DaemonOptions;

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  log(): string {
    try {
      return readFileSync(this.logFile, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  /** The running process; undefined if there is none. */
  running(): ProcessId | undefined {
    const process = loadProcess(this.#options.pidFile);
    return process && isRunning(process) ? process : undefined;
  }

  /** Starts it and waits until it says it is ready. Throws `LabError` with the end of its log if it does not. */
  async start(): Promise<void> {
    const { label, ready } = this.#options;
    if (this.running()) throw new LabError(`${label} is running already`);
    const socket = 'notify' in ready ? new NotifySocket(ready.notify.outside) : undefined;
    const over = new AbortController();
    try {
      const child = this.#spawn('notify' in ready ? { NOTIFY_SOCKET: ready.notify.inside } : {});
      child.once('error', (error) => over.abort(error));
      child.once('exit', (code, signal) => over.abort(`ended with ${signal ?? `status ${code}`}`));
      const withinMs = this.#options.readyWithinMs ?? readyWithinMs;
      const late = `was not ready after ${withinMs / 1000} s`;
      const timer = setTimeout(() => over.abort(late), withinMs);
      try {
        await socket?.ready(over.signal);
        if ('ask' in ready) await untilYes(ready.ask, over.signal);
      } finally {
        clearTimeout(timer);
        child.removeAllListeners();
      }
      child.unref();
    } catch (error) {
      if (over.signal.aborted) throw new LabError(`${label} ${over.signal.reason}\n${this.#logTail()}`);
      throw error;
    } finally {
      socket?.close();
    }
  }

  /** Runs it to its end, for what it does not survive: its exit status and what it wrote. */
  async runToEnd(env: NodeJS.ProcessEnv = {}): Promise<{ status: number | null; log: string }> {
    const before = this.log().length;
    const child = this.#spawn(env);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    return { status, log: this.log().slice(before) };
  }

  /** Sends a signal to the running process; throws `LabError` if none is running. */
  signal(name: NodeJS.Signals): ProcessId {
    const process = this.running();
    if (!process || !signalProcess(process, name))
      throw new LabError(`${this.#options.label} is not running`);
    return process;
  }

  /** Ends it with the signal and waits until it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' = 'SIGTERM'): Promise<void> {
    const process = this.signal(signal);
    for (const since = Date.now(); isRunning(process); await delay(2)) {
      if (Date.now() - since > goneWithinMs) {
        const outlived = `${this.#options.label} outlived ${signal} by ${goneWithinMs / 1000} s`;
        throw new LabError(`${outlived}\n${this.#logTail()}`);
      }
    }
  }

  #spawn(env: NodeJS.ProcessEnv): ChildProcess {
    const { lab, command, pidFile } = this.#options;
    const [program = '', ...args] = command();
    const log = openSync(this.logFile, 'a');
    try {
      const child = spawn(program, args, {
        detached: true,
        cwd: '/',
        env: { ...serviceEnvironment(lab), ...env },
        stdio: ['ignore', log, log],
      });
      // nsenter becomes the daemon: the pid and the start time stay.
      const process = child.pid ? identify(child.pid) : undefined;
      if (process) saveProcess(pidFile, process);
      return child;
    } finally {
      closeSync(log);
    }
  }

  #logTail(): string {
    const lines = this.log().trimEnd().split('\n').slice(-15);
    return `${this.logFile}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  }
}

async function untilYes(ask: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await ask())) {
    await delay(askEveryMs, undefined, { signal });
  }
}

/** What a service manager or a runtime gives its children: little. Our own Node.js comes first in PATH. */
export const serviceEnvironment = (lab: string): Record<string, string> => ({
  PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  LANG: 'C.UTF-8',
  HOME: '/root',
  [processMark]: lab,
});
