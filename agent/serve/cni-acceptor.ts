/**
 * Takes callers off a listening socket, one after another: each call is begun before the next caller is looked at.
 *
 * It parks one thread of libuv's pool in poll(2) while nobody calls.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import * as ffi from '../../kernel/ffi.ts';
import type { Log } from '../../log/log.ts';

export interface CniAcceptorOptions {
  /** The socket; ours to close. */
  readonly fd: number;
  /** Takes over the caller's descriptor. */
  readonly onCaller: (fd: number) => void;
  readonly log: Pick<Log, 'error'>;
}

/** Where no descriptor is left for a caller, others are not turned away: they wait. */
const RETRY_MS = 100;

export class CniAcceptor {
  readonly #options: CniAcceptorOptions;
  readonly #wake = ffi.eventfd();
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(options: CniAcceptorOptions) {
    this.#options = options;
    ffi.setNonBlocking(options.fd);
    this.#done = this.#run();
  }

  /** Resolves once nobody is taken any more and the socket is closed. */
  async stop(): Promise<void> {
    if (!this.#stopped) ffi.wake(this.#wake);
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    const { fd, log } = this.#options;
    while (!this.#stopped) {
      await ffi.pollReadableAsync([fd, this.#wake]);
      try {
        await this.#takeAll();
      } catch (error) {
        log.error('cni.acceptFailed', { err: error });
        await sleep(RETRY_MS);
      }
    }
    ffi.close(fd);
    ffi.close(this.#wake);
  }

  async #takeAll(): Promise<void> {
    while (!this.#stopped) {
      const caller = ffi.accept(this.#options.fd);
      if (caller === undefined) return;
      this.#options.onCaller(caller);
      await turn();
    }
  }
}
