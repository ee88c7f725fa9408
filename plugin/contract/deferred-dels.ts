/**
 * DELs that a relay promised while nobody could do them: one file each under `<runDir>/tombstones/`, the
 * request as it would have gone over the socket, named so that they sort by time. They are done as soon as
 * somebody can, and always before an ADD of the same attachment: a container may be started again under its id.
 */
import {
  closeSync,
  type Dirent,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../kernel/errno.ts';
import type { Log } from '../../log/log.ts';
import { CniError } from '../errors.ts';
import { lockFile } from '../lock.ts';
import { refusal } from '../protocol/answer.ts';
import type { PluginAnswer, PluginCall } from '../protocol/call.ts';
import { decodeRequest, WireError } from './wire.ts';

type Answer = (call: PluginCall, signal: AbortSignal) => Promise<PluginAnswer>;

export interface DeferredDelsOptions {
  /** `<runDir>/tombstones`; it need not be there. */
  readonly directory: string;
  readonly answer: Answer;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** A relay that was killed while it wrote leaves a file that no success was promised for. */
const abandonedAfterMs = 10 * 60_000;

export class DeferredDels {
  readonly #options: DeferredDelsOptions;
  #running: Promise<void> = Promise.resolve();

  constructor(options: DeferredDelsOptions) {
    this.#options = options;
  }

  /** Does what it can of what is promised. Never rejects: what cannot be done yet stays for the next time. */
  replay(signal: AbortSignal): Promise<void> {
    this.#running = this.#running.then(async () => {
      try {
        for (const name of this.#names()) if (!signal.aborted) await this.#tryOne(name, signal);
      } catch (error) {
        this.#options.log.warn('del.listFailed', { err: error });
      }
    });
    return this.#running;
  }

  /** Replays now, and every `periodMs` from then on what is still left. */
  async keepReplaying(options: { periodMs: number; signal: AbortSignal }): Promise<void> {
    const { periodMs, signal } = options;
    // Every ADD looks into it, and an exception each time costs more than the look.
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    await this.replay(signal);
    const timer = setInterval(() => void this.replay(signal), periodMs);
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** The same answers, with an ADD refused for as long as an earlier DEL of its attachment is still owed. */
  guard(): Answer {
    return async (call, signal) => {
      const reason = call.env.CNI_COMMAND === 'ADD' ? await this.#obstacle(call, signal) : undefined;
      if (reason === undefined) return await this.#options.answer(call, signal);
      return refusal(new CniError('try-again-later', reason, `see ${this.#options.directory}`));
    };
  }

  /** Why the ADD must wait; undefined where no deferred DEL of its attachment is left. */
  async #obstacle(call: PluginCall, signal: AbortSignal): Promise<string | undefined> {
    try {
      if (!this.#owed(call)) return undefined;
      await this.replay(signal);
      return this.#owed(call) ? 'an earlier DEL of this container is not done yet' : undefined;
    } catch (error) {
      return `failed to read the deferred DELs: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #owed(call: PluginCall): boolean {
    return this.#names().some((name) => {
      const owed = this.#read(name);
      return (
        owed !== undefined &&
        owed.env.CNI_CONTAINERID === call.env.CNI_CONTAINERID &&
        owed.env.CNI_IFNAME === call.env.CNI_IFNAME
      );
    });
  }

  /** Oldest first. */
  #names(): string[] {
    let entries: Dirent[];
    try {
      entries = readdirSync(this.#options.directory, { withFileTypes: true });
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    for (const name of files.filter((file) => file.startsWith('.'))) this.#forgetAbandoned(name);
    return files.filter((file) => !file.startsWith('.')).sort();
  }

  #forgetAbandoned(name: string): void {
    const path = this.#path(name);
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - written > abandonedAfterMs) rmSync(path, { force: true });
  }

  /**
   * Undefined for what is gone or no DEL; the latter is removed, because no success was promised with it. A file that
   * cannot be read now (EMFILE, EIO) may be a promise: that is thrown, and the file stays.
   */
  #read(name: string): PluginCall | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path(name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    try {
      const call = decodeRequest(bytes);
      if (call.env.CNI_COMMAND === 'DEL') return call;
      this.#drop(name, `it is a ${call.env.CNI_COMMAND}`);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#drop(name, error.message);
    }
    return undefined;
  }

  /** One that fails does not keep the others from being done. */
  async #tryOne(name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#replayOne(name, signal);
    } catch (error) {
      this.#options.log.warn('del.replayFailed', { tombstone: name, err: error });
    }
  }

  /**
   * Under the file's lock: another process may be at it, and would, late, take down what an ADD makes that comes
   * after our own.
   */
  async #replayOne(name: string, signal: AbortSignal): Promise<void> {
    const path = this.#path(name);
    const fd = await lockFile(path, () => openIfThere(path));
    if (fd === 'busy') this.#options.log.warn('del.locked', { tombstone: name });
    if (typeof fd !== 'number') return;
    try {
      const call = this.#read(name);
      if (call) await this.#fulfil(name, call, signal);
    } finally {
      closeSync(fd);
    }
  }

  async #fulfil(name: string, call: PluginCall, signal: AbortSignal): Promise<void> {
    const { status, stdout } = await this.#options.answer(call, signal);
    if (status === 0) {
      rmSync(this.#path(name), { force: true });
      this.#options.log.info('del.replayed', { tombstone: name, container: call.env.CNI_CONTAINERID });
    } else if (isHopeless(stdout)) {
      this.#drop(name, stdout);
    } else {
      this.#options.log.warn('del.replayFailed', { tombstone: name, answer: stdout });
    }
  }

  #drop(name: string, reason: string): void {
    this.#options.log.warn('del.dropped', { tombstone: name, reason });
    rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Refused for what it says (version, variables, JSON, configuration), which no retry changes. */
function isHopeless(stdout: string): boolean {
  try {
    const { code } = JSON.parse(stdout) as { code?: unknown };
    return typeof code === 'number' && code >= 1 && code <= 7 && code !== 5;
  } catch {
    return false;
  }
}
