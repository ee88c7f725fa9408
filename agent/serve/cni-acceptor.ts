/**
 * Accepts callers on a listening socket, one after another (each call is begun before the next caller is accepted),
 * and says when a caller whose request is not complete has sent more.
 *
 * It parks one thread of libuv's pool in poll(2) while nothing happens. A `net.Socket` cannot read requests: it drops
 * the descriptors that come with them.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import * as ffi from '../../kernel/ffi.ts';
import type { Log } from '../../log/log.ts';

export interface CniAcceptorOptions {
  /** The listening socket, closed by `stop`. */
  readonly fd: number;
  /** Owns the caller's descriptor from then on. */
  readonly onCaller: (fd: number) => void;
  readonly log: Pick<Log, 'error'>;
}

/** Where no descriptor is left for a caller, the callers wait in the queue. */
const RETRY_MS = 100;

export class CniAcceptor {
  readonly #options: CniAcceptorOptions;
  readonly #wake = ffi.eventfd();
  /** Of the callers that are watched. */
  readonly #epoll = ffi.epoll();
  readonly #watched = new Map<number, () => void>();
  readonly #accepting: Promise<void>;
  readonly #done: Promise<void>;
  #stopping = false;
  #closing = false;

  constructor(options: CniAcceptorOptions) {
    this.#options = options;
    ffi.setNonBlocking(options.fd);
    this.#accepting = this.#accept();
    this.#done = this.#accepting.then(() => this.#serveWatched());
  }

  /** Calls `onReadable` while the descriptor has input or its end, until `forget`. */
  watch(fd: number, onReadable: () => void): void {
    ffi.epollAdd(this.#epoll, fd);
    this.#watched.set(fd, onReadable);
  }

  forget(fd: number): void {
    if (this.#watched.delete(fd)) ffi.epollRemove(this.#epoll, fd);
  }

  /** Resolves once no further caller is accepted and the socket is closed. Those that are watched stay so. */
  async stop(): Promise<void> {
    if (!this.#stopping) ffi.wake(this.#wake);
    this.#stopping = true;
    await this.#accepting;
  }

  /** Ends it all. */
  async close(): Promise<void> {
    await this.stop();
    if (!this.#closing) ffi.wake(this.#wake);
    this.#closing = true;
    await this.#done;
  }

  async #accept(): Promise<void> {
    const { fd, log } = this.#options;
    while (!this.#stopping) {
      const ready = await ffi.pollReadableAsync([fd, this.#wake, this.#epoll]);
      this.#readWatched(ready);
      try {
        if (ready.includes(fd)) await this.#takeAll();
      } catch (error) {
        log.error('cni.acceptFailed', { err: error });
        await sleep(RETRY_MS);
      }
    }
    ffi.close(fd);
    ffi.calm(this.#wake);
  }

  async #serveWatched(): Promise<void> {
    while (!this.#closing) this.#readWatched(await ffi.pollReadableAsync([this.#wake, this.#epoll]));
    ffi.close(this.#epoll);
    ffi.close(this.#wake);
  }

  #readWatched(ready: readonly number[]): void {
    if (!ready.includes(this.#epoll)) return;
    // Which of them it is costs a system call more than asking each: few callers are slow.
    for (const onReadable of [...this.#watched.values()]) onReadable();
  }

  async #takeAll(): Promise<void> {
    while (!this.#stopping) {
      const caller = ffi.accept(this.#options.fd);
      if (caller === undefined) return;
      this.#options.onCaller(caller);
      await turn();
    }
  }
}
