/** The agent of a node: the real `weftd`, started as a service manager would start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from './errors.ts';
import { onGround } from './ground.ts';
import { nodeFolder, processMark } from './names.ts';
import { NotifySocket } from './notify.ts';
import { identify, isRunning, type ProcessId, signalProcess } from './processes.ts';
import { loadAgent, saveAgent } from './state.ts';

const readyWithinMs = 20_000;
const goneWithinMs = 10_000;

export class Agent {
  readonly #lab: string;
  readonly #node: string;
  readonly #weftd: string;

  constructor(place: { lab: string; node: string; weftd: string }) {
    this.#lab = place.lab;
    this.#node = place.node;
    this.#weftd = place.weftd;
  }

  /** Where its output goes; kept over restarts. */
  get logFile(): string {
    return join(nodeFolder(this.#lab, this.#node), 'weftd.log');
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
    const agent = loadAgent(this.#lab, this.#node);
    return agent && isRunning(agent) ? agent : undefined;
  }

  /** Starts it and waits until it says it is ready. Throws `LabError` with the end of its log if it does not. */
  async start(): Promise<void> {
    if (this.running()) throw new LabError(`the agent of ${this.#node} is running already`);
    const notify = new NotifySocket(join(nodeFolder(this.#lab, this.#node), 'run/notify'));
    const over = new AbortController();
    try {
      const child = this.#spawn({ NOTIFY_SOCKET: '/run/notify' });
      child.once('error', (error) => over.abort(error));
      child.once('exit', (code, signal) => over.abort(`ended with ${signal ?? `status ${code}`}`));
      const timer = setTimeout(
        () => over.abort(`was not ready after ${readyWithinMs / 1000} s`),
        readyWithinMs,
      );
      try {
        await notify.ready(over.signal);
      } finally {
        clearTimeout(timer);
        child.removeAllListeners();
      }
      child.unref();
    } catch (error) {
      if (over.signal.aborted)
        throw new LabError(`weftd on ${this.#node} ${over.signal.reason}\n${this.#logTail()}`);
      throw error;
    } finally {
      notify.close();
    }
  }

  /** Runs it to its end, for what it does not survive: its exit status and what it wrote. */
  async runToEnd(env: NodeJS.ProcessEnv = {}): Promise<{ status: number | null; log: string }> {
    const before = this.log().length;
    const child = this.#spawn(env);
    const [status] = await new Promise<[number | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve([code]));
    });
    return { status, log: this.log().slice(before) };
  }

  /** Sends a signal to the running agent; throws `LabError` if none is running. */
  signal(name: NodeJS.Signals): ProcessId {
    const agent = this.running();
    if (!agent || !signalProcess(agent, name)) throw new LabError(`no agent is running on ${this.#node}`);
    return agent;
  }

  /** Ends it with the signal and waits until it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' = 'SIGTERM'): Promise<void> {
    const agent = this.signal(signal);
    for (const since = Date.now(); isRunning(agent); await delay(2)) {
      if (Date.now() - since > goneWithinMs) {
        throw new LabError(
          `weftd on ${this.#node} outlived ${signal} by ${goneWithinMs / 1000} s\n${this.#logTail()}`,
        );
      }
    }
  }

  #spawn(env: NodeJS.ProcessEnv): ChildProcess {
    const [program = '', ...args] = onGround({ lab: this.#lab, node: this.#node }, [
      process.execPath,
      this.#weftd,
    ]);
    const log = openSync(this.logFile, 'a');
    try {
      const child = spawn(program, args, {
        detached: true,
        cwd: '/',
        env: { ...serviceEnvironment(this.#lab), ...env },
        stdio: ['ignore', log, log],
      });
      // nsenter becomes the agent: the pid and the start time stay.
      const agent = child.pid ? identify(child.pid) : undefined;
      if (agent) saveAgent(this.#lab, this.#node, agent);
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

/** What a service manager or a runtime gives its children: little. Our own Node.js comes first in PATH. */
export const serviceEnvironment = (lab: string): Record<string, string> => ({
  PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  LANG: 'C.UTF-8',
  HOME: '/root',
  [processMark]: lab,
});
