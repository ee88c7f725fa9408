/** One connection to the CNI socket: a request in, its answer out, and the end. */
import type { Socket } from 'node:net';
import { CniError } from '../../plugin/errors.ts';
import { encodeAnswer, RequestReader, WireError } from '../../plugin/launcher/wire.ts';
import { type PluginAnswer, type PluginCall, refusal } from '../../plugin/protocol/answer.ts';
import { reasonOf } from '../errors.ts';
import type { CniServerOptions } from './cni-server.ts';

/** `work` aborts when the caller goes away, and may be aborted when the time for the work is over. */
type Perform = (call: PluginCall, work: AbortController) => Promise<PluginAnswer>;

export class CniConnection {
  readonly #socket: Socket;
  readonly #options: CniServerOptions;
  readonly #perform: Perform;
  readonly #reader = new RequestReader();
  readonly #work = new AbortController();
  #answered = false;
  #gone = false;
  #readTimer: NodeJS.Timeout | undefined;

  /** `perform` is called once at most. */
  constructor(socket: Socket, options: CniServerOptions, perform: Perform) {
    this.#socket = socket;
    this.#options = options;
    this.#perform = perform;
    // Not a timer that every byte starts anew: who drips is as late as who says nothing.
    this.#readTimer = setTimeout(() => this.#drop('the request did not arrive in time'), options.readMs);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => this.abandon('the caller has gone'));
    socket.on('error', (error) => this.abandon(error.message));
    socket.on('close', () => this.abandon('the caller has gone'));
  }

  /** Nothing of the request has been read: closed now, its relay knows that nobody has done it. */
  get untouched(): boolean {
    return !this.#reader.begun;
  }

  /** Nobody waits for the answer any more. */
  abandon(reason: string): void {
    clearTimeout(this.#readTimer);
    this.#socket.destroy();
    if (this.#answered || this.#gone) return;
    this.#gone = true;
    this.#work.abort(new CniError('try-again-later', reason));
  }

  #drop(reason: string): void {
    this.#options.log.warn({ reason }, 'cni connection dropped');
    this.abandon(reason);
  }

  #read(chunk: Buffer): void {
    try {
      if (this.#readTimer === undefined) throw new WireError('bytes follow the request');
      const call = this.#reader.push(chunk);
      if (call) void this.#respond(call);
    } catch (error) {
      if (error instanceof WireError && error.otherVersion) this.#answer(tryAgain(error.message));
      else this.#drop(reasonOf(error));
    }
  }

  async #respond(call: PluginCall): Promise<void> {
    this.#stopReading();
    const answer = await this.#perform(call, this.#work);
    if (!this.#gone) this.#answer(answer);
  }

  #answer(answer: PluginAnswer): void {
    this.#stopReading();
    this.#answered = true;
    this.#socket.setTimeout(this.#options.writeMs, () => this.#drop('the answer was not taken in time'));
    this.#socket.end(encodeAnswer(answer));
  }

  #stopReading(): void {
    clearTimeout(this.#readTimer);
    this.#readTimer = undefined;
  }
}

const tryAgain = (message: string): PluginAnswer => refusal(new CniError('try-again-later', message));
