/**
 * The CNI socket: takes calls from relays and has them answered.
 *
 * It trusts a caller that is root or the agent's own user, and nothing else about it: a request is bounded
 * in size and in the time it may take to arrive, a caller that goes away aborts its call, or takes it out of the
 * queue. The time for the work begins with the work, so a burst makes calls wait and not fail.
 */

import { parseObject } from '../../json/object.ts';
import * as ffi from '../../kernel/ffi.ts';
import { homeNetns } from '../../kernel/netns.ts';
import { callerNetns, peerCredentials } from '../../kernel/unix-stream.ts';
import type { Log } from '../../log/log.ts';
import { CniError } from '../../plugin/errors.ts';
import { refusal } from '../../plugin/protocol/answer.ts';
import type { PluginAnswer, PluginCall } from '../../plugin/protocol/call.ts';
import { CniAcceptor } from './cni-acceptor.ts';
import { Admission } from './cni-admission.ts';
import { CniConnection, type ConnectionOptions, type Readiness } from './cni-connection.ts';

/** What a call took, for logs and metrics. */
export interface CallRecord {
  /** CNI_COMMAND; empty if it had none. */
  readonly verb: string;
  readonly status: number;
  /** The error code of a failed call (CNI specification, section "Error"). */
  readonly code?: number;
  /** In the queue, and at work. */
  readonly waitedMs: number;
  readonly workedMs: number;
}

export interface CniServerOptions extends ConnectionOptions {
  /** Must not reject. The signal aborts when the caller has gone or the time for the work is over. */
  readonly answer: (call: PluginCall, signal: AbortSignal) => Promise<PluginAnswer>;
  readonly log: Pick<Log, 'warn' | 'error'>;
  readonly onCall?: (record: CallRecord) => void;
  /** Calls at work at once; the others wait. */
  readonly concurrency: number;
  /** Connections at once; the others are closed unread, so that their relays start the standalone plugin. */
  readonly connections: number;
  /** For the work itself. The relay waits for 25 s in all. */
  readonly workMs: number;
  /** Who may call, besides root. */
  readonly uid: number;
}

const defaults = {
  concurrency: 64,
  connections: 4096,
  readMs: 10_000,
  workMs: 20_000,
  writeMs: 10_000,
} as const;

export class CniServer {
  readonly #options: CniServerOptions;
  readonly #admission: Admission;
  readonly #connections = new Set<CniConnection>();
  #acceptor: CniAcceptor | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(options: Pick<CniServerOptions, 'answer' | 'log'> & Partial<CniServerOptions>) {
    this.#options = { ...defaults, uid: process.geteuid?.() ?? 0, ...options };
    this.#admission = new Admission(this.#options.concurrency);
  }

  /** Takes calls on a listening socket, which is its own from now on. */
  listen(fd: number): void {
    const { log } = this.#options;
    const acceptor = new CniAcceptor({ fd, onCaller: (caller) => this.#accept(caller, acceptor), log });
    this.#acceptor = acceptor;
  }

  /** Calls that are being worked on, and that wait for it. */
  get load(): { working: number; waiting: number } {
    return { working: this.#admission.working, waiting: this.#admission.waiting };
  }

  /**
   * Takes no further call and resolves when those that have begun are answered, at the latest after
   * `withinMs`. A call of which nothing was read is closed: its relay starts the standalone plugin, or, where
   * the socket is systemd's, the next agent has it.
   */
  async drain(withinMs: number): Promise<void> {
    await this.#acceptor?.stop();
    for (const connection of this.#connections) if (connection.untouched) connection.abandon('weftd stops');
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.abandon('weftd stops');
    }, withinMs);
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
      this.#tellIfIdle();
    });
    clearTimeout(timer);
    await this.#acceptor?.close();
  }

  #tellIfIdle(): void {
    if (this.#connections.size === 0) this.#whenIdle?.();
  }

  #accept(fd: number, readiness: Readiness): void {
    if (this.#connections.size >= this.#options.connections || !this.#isWelcome(fd)) {
      ffi.close(fd);
      return;
    }
    const connection = new CniConnection({
      fd,
      options: this.#options,
      readiness,
      elsewhere: this.#livesElsewhere(fd),
      perform: (call, work) => this.#perform(call, work),
      onOver: () => {
        this.#connections.delete(connection);
        this.#tellIfIdle();
      },
    });
    this.#connections.add(connection);
    connection.begin();
  }

  #isWelcome(fd: number): boolean {
    const { uid, pid } = peerCredentials(fd);
    if (uid === 0 || uid === this.#options.uid) return true;
    this.#options.log.warn('cni.callerRefused', { uid, pid });
    return false;
  }

  /** Asked of the socket, never of a process id, which means another process elsewhere. */
  #livesElsewhere(fd: number): boolean {
    const netns = callerNetns(fd);
    if (netns === undefined || netns === homeNetns().id) return false;
    this.#options.log.warn('cni.callerElsewhere', { netns });
    return true;
  }

  async #perform(call: PluginCall, work: AbortController): Promise<PluginAnswer> {
    const arrived = performance.now();
    let begun = arrived;
    let answer: PluginAnswer;
    try {
      answer = await this.#admission.run({
        key: attachmentKey(call),
        signal: work.signal,
        work: () => {
          begun = performance.now();
          return this.#work(call, work);
        },
      });
    } catch (error) {
      if (!work.signal.aborted) this.#options.log.error('cni.callFailed', { err: error });
      answer = refusal(error);
    }
    const now = performance.now();
    this.#options.onCall?.({
      verb: call.env.CNI_COMMAND ?? '',
      status: answer.status,
      ...(answer.status === 0 ? {} : { code: codeOf(answer) }),
      waitedMs: begun - arrived,
      workedMs: now - begun,
    });
    return answer;
  }

  async #work(call: PluginCall, work: AbortController): Promise<PluginAnswer> {
    const { workMs } = this.#options;
    const timer = setTimeout(() => {
      work.abort(new CniError('try-again-later', `the call was not done within ${workMs} ms`));
    }, workMs);
    try {
      return await this.#options.answer(call, work.signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** 999 where the answer is none that the specification knows. */
function codeOf({ stdout }: PluginAnswer): number {
  const { code } = parseObject(stdout) ?? {};
  return typeof code === 'number' && Number.isInteger(code) ? code : 999;
}

/** Calls of one attachment are done one after another; those that name none, beside all others. */
function attachmentKey({ env }: PluginCall): string | undefined {
  const { CNI_CONTAINERID: container, CNI_IFNAME: ifname } = env;
  return container ? `${container}/${ifname ?? ''}` : undefined;
}
