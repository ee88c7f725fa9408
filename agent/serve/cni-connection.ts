/**
 * One connection to the CNI socket: a request in, its answer out, and the end.
 *
 * A request that is there at once and done within a moment needs no more than a receive and a send. Whoever takes
 * longer, in sending, in being served or in taking the answer, is watched by the event loop.
 */
import { Socket } from 'node:net';
import * as ffi from '../../kernel/ffi.ts';
import { receiveNow, sendNow } from '../../kernel/unix-stream.ts';
import type { Log } from '../../log/log.ts';
import { CniError } from '../../plugin/errors.ts';
import { encodeAnswer, RequestReader, WireError } from '../../plugin/launcher/wire.ts';
import { type PluginAnswer, type PluginCall, refusal } from '../../plugin/protocol/answer.ts';
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

type Phase = 'reading' | 'working' | 'answering' | 'over';

/** Most calls are answered before it would be worth looking whether their callers are still there. */
const UNWATCHED_MS = 5;

export class CniConnection {
  readonly #fd: number;
  readonly #options: ConnectionOptions;
  readonly #perform: Perform;
  readonly #onOver: () => void;
  readonly #reader = new RequestReader();
  readonly #work = new AbortController();
  #phase: Phase = 'reading';
  #timer: NodeJS.Timeout | undefined;
  /** Once there is one, the descriptor is its own. */
  #socket: Socket | undefined;

  /** `fd` is ours to close. `perform` is called once at most, `onOver` once. */
  constructor(request: { fd: number; options: ConnectionOptions; perform: Perform; onOver: () => void }) {
    this.#fd = request.fd;
    this.#options = request.options;
    this.#perform = request.perform;
    this.#onOver = request.onOver;
  }

  /** Takes what is there of the request, and waits for what is not. */
  begin(): void {
    try {
      const there = receiveNow(this.#fd);
      if (there?.length === 0) this.abandon('the caller has gone');
      else if (there) this.#read(there);
    } catch (error) {
      this.abandon(reasonOf(error));
    }
    if (this.#phase !== 'reading') return;
    // Not a timer that every byte starts anew: who drips is as late as who says nothing.
    this.#after(this.#options.readMs, () => this.#drop('the request did not arrive in time'));
    this.#watched();
  }

  /** Nothing of the request has been read: closed now, its relay knows that nobody has done it. */
  get untouched(): boolean {
    return !this.#reader.begun;
  }

  /** Nobody waits for the answer any more. */
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
    this.#onOver();
  }

  #drop(reason: string): void {
    this.#options.log.warn('cni.connectionDropped', { reason });
    this.abandon(reason);
  }

  #read(chunk: Buffer): void {
    try {
      if (this.#phase !== 'reading') throw new WireError('bytes follow the request');
      const call = this.#reader.push(chunk);
      if (call) void this.#respond(call);
    } catch (error) {
      if (error instanceof WireError && error.otherVersion) this.#answer(tryAgain(error.message));
      else this.#drop(reasonOf(error));
    }
  }

  async #respond(call: PluginCall): Promise<void> {
    this.#enter('working');
    if (!this.#socket) this.#after(UNWATCHED_MS, () => this.#watched());
    const answer = await this.#perform(call, this.#work);
    if (this.#phase === 'working') this.#answer(answer);
  }

  #answer(answer: PluginAnswer): void {
    this.#enter('answering');
    const bytes = encodeAnswer(answer);
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
    socket.setTimeout(this.#options.writeMs, () => this.#drop('the answer was not taken in time'));
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
    this.#phase = phase;
  }

  #after(milliseconds: number, then: () => void): void {
    this.#timer = setTimeout(then, milliseconds);
  }
}

const tryAgain = (message: string): PluginAnswer => refusal(new CniError('try-again-later', message));
