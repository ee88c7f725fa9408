/**
 * One connection to the CNI socket: one request, its response, and the end.
 *
 * A request is received with the descriptors that come with it, which live until its call is done. One that is there
 * at once and done within a moment needs no more than a receive and a send. A caller that is slow to send is watched by
 * the acceptor's thread; one whose call or answer takes longer, by the event loop.
 */
import { Socket } from 'node:net';
import * as ffi from '../../kernel/ffi.ts';
import { peekNow, receiveNow, sendNow } from '../../kernel/unix-stream.ts';
import type { Log } from '../../log/log.ts';
import {
  encodeAnswer,
  headerBytes,
  opensNames,
  RequestReader,
  WireError,
} from '../../plugin/contract/wire.ts';
import { CniError } from '../../plugin/errors.ts';
import { refusal } from '../../plugin/protocol/answer.ts';
import type { PluginAnswer, PluginCall } from '../../plugin/protocol/call.ts';
import { reasonOf } from '../../problem/reason.ts';

export interface ConnectionOptions {
  readonly log: Pick<Log, 'warn'>;
  /** From the connection to the request's last byte. */
  readonly readMs: number;
  /** Until the caller has taken the answer. */
  readonly writeMs: number;
}

/** `work` aborts when the caller goes away, and may be aborted when the time for the work is over. */
type Perform = (call: PluginCall, work: AbortController) => Promise<PluginAnswer>;

/** Reports when a descriptor has input, until `forget`. */
export interface Readiness {
  watch(fd: number, onReadable: () => void): void;
  forget(fd: number): void;
}

type Phase = 'reading' | 'working' | 'answering' | 'over';

/** Most calls are answered sooner than it pays to look whether their callers are still there. */
const UNWATCHED_MS = 5;

export interface CniConnectionOptions {
  /** Closed by the connection. */
  readonly fd: number;
  readonly options: ConnectionOptions;
  readonly readiness: Readiness;
  /** The caller lives in another network namespace: nothing is done for it. */
  readonly elsewhere: boolean;
  /** Called once at most. */
  readonly perform: Perform;
  /** Called once. */
  readonly onOver: () => void;
}

export class CniConnection {
  readonly #fd: number;
  readonly #given: CniConnectionOptions;
  readonly #descriptors: number[] = [];
  readonly #reader = new RequestReader(this.#descriptors);
  readonly #work = new AbortController();
  #phase: Phase = 'reading';
  #performing = false;
  #timer: NodeJS.Timeout | undefined;
  /** Once there is one, the descriptor belongs to it. */
  #socket: Socket | undefined;

  constructor(given: CniConnectionOptions) {
    this.#fd = given.fd;
    this.#given = given;
  }

  /** Receives what is there of the request, and waits for what is not. */
  begin(): void {
    this.#receive();
    if (this.#phase !== 'reading') return;
    // An absolute deadline, not an idle timeout.
    this.#after(this.#given.options.readMs, () => this.#drop('request not complete at its deadline'));
    this.#given.readiness.watch(this.#fd, () => this.#receive());
  }

  /** Nothing of the request has been read: closed now, its relay knows that nothing was done. */
  get untouched(): boolean {
    return !this.#reader.begun;
  }

  /** The caller does not wait for the answer any more. */
  abandon(reason: string): void {
    const owed = this.#phase === 'reading' || this.#phase === 'working';
    this.#end();
    if (owed) this.#work.abort(new CniError('try-again-later', reason));
  }

  #end(): void {
    if (this.#phase === 'over') return;
    this.#enter('over');
    if (this.#socket) this.#socket.destroy();
    else ffi.close(this.#fd);
    if (!this.#performing) this.#closeDescriptors();
    this.#given.onOver();
  }

  #closeDescriptors(): void {
    for (const fd of this.#descriptors.splice(0)) ffi.close(fd);
  }

  #drop(reason: string): void {
    this.#given.options.log.warn('cni.connectionDropped', { reason });
    this.abandon(reason);
  }

  /** All that has arrived: to the last byte of the request, or to a pause. */
  #receive(): void {
    try {
      while (this.#phase === 'reading' && this.#isReadable()) {
        const received = receiveNow(this.#fd);
        if (!received) return;
        this.#keep(received.fds);
        if (received.truncated) this.#answer(tryAgain(truncated));
        else if (received.bytes.length === 0) this.abandon('the caller has gone');
        else this.#read(received.bytes);
      }
    } catch (error) {
      this.abandon(reasonOf(error));
    }
  }

  /**
   * Of a caller elsewhere only what will be answered: a relay of 0.1.0 is closed unread, so that it starts the
   * standalone plugin by itself.
   */
  #isReadable(): boolean {
    if (!this.#given.elsewhere || !this.untouched) return true;
    const header = peekNow(this.#fd, headerBytes);
    if (header && !opensNames(header)) this.abandon('the caller lives in another network namespace');
    return header !== undefined && this.#phase === 'reading';
  }

  /** Descriptors come with the first byte; of those that come later or are more than a request has, none is used. */
  #keep(fds: readonly number[]): void {
    if (this.untouched) this.#descriptors.push(...fds);
    else for (const fd of fds) ffi.close(fd);
  }

  #read(chunk: Buffer): void {
    try {
      if (this.#phase !== 'reading') throw new WireError('bytes follow the request');
      const call = this.#reader.push(chunk);
      if (call && this.#given.elsewhere) this.#answer(tryAgain(elsewhere), { notDone: true });
      else if (call) void this.#respond(call);
    } catch (error) {
      if (error instanceof WireError && error.otherVersion) this.#answer(tryAgain(error.message));
      else this.#drop(reasonOf(error));
    }
  }

  async #respond(call: PluginCall): Promise<void> {
    this.#enter('working');
    this.#performing = true;
    this.#after(UNWATCHED_MS, () => this.#watched());
    const answer = await this.#given.perform(call, this.#work);
    this.#performing = false;
    this.#closeDescriptors();
    if (this.#phase === 'working') this.#answer(answer);
  }

  #answer(answer: PluginAnswer, options: { notDone?: boolean } = {}): void {
    this.#enter('answering');
    const bytes = encodeAnswer(answer, options);
    try {
      const sent = this.#socket ? 0 : sendNow(this.#fd, bytes);
      if (sent === bytes.length) this.#end();
      else this.#sendRest(bytes.subarray(sent));
    } catch (error) {
      this.abandon(reasonOf(error));
    }
  }

  #sendRest(bytes: Buffer): void {
    const socket = this.#watched();
    socket.setTimeout(this.#given.options.writeMs, () => this.#drop('response not read at its deadline'));
    socket.end(bytes);
  }

  /** The connection as the event loop sees it. */
  #watched(): Socket {
    if (this.#socket) return this.#socket;
    const socket = new Socket({ fd: this.#fd, readable: true, writable: true });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => this.abandon('the caller has gone'));
    socket.on('error', (error) => this.abandon(error.message));
    socket.on('close', () => this.abandon('the caller has gone'));
    this.#socket = socket;
    return socket;
  }

  #enter(phase: Phase): void {
    clearTimeout(this.#timer);
    if (this.#phase === 'reading') this.#given.readiness.forget(this.#fd);
    this.#phase = phase;
  }

  #after(milliseconds: number, then: () => void): void {
    this.#timer = setTimeout(then, milliseconds);
  }
}

const tryAgain = (message: string): PluginAnswer => refusal(new CniError('try-again-later', message));

const truncated =
  'failed to receive the descriptors of the request: the agent may open no more files; raise LimitNOFILE of weftd';

const elsewhere =
  'the agent (weftd) lives in another network namespace than this plugin; start an agent there, or ' +
  'install weft-standalone';
