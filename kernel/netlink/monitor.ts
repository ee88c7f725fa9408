/**
 * Netlink notifications: what anybody changed in a network namespace, as it happens.
 *
 * The waiting is done in poll(2) on libuv's thread pool, where it costs a thread but no second V8; reading is
 * done on the main thread without waiting. A receive buffer that overran (ENOBUFS) means that notifications
 * were lost, and the listener reads the state again. That is a normal event, never an error.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { failedWith } from '../errors.ts';
import * as ffi from '../ffi.ts';
import { type NetlinkMessage, readMessages } from './message.ts';
import { NETLINK_ROUTE, openForNotifications, subscribe, widenReceiveBuffer } from './open.ts';

/** Room for some ten thousand notifications while the event loop is busy. */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;
const DATAGRAM_BYTES = 64 * 1024;
/** Thousands of notifications that come at once must not keep others waiting for longer. */
const SLICE_MS = 2;
/** Datagrams between two looks at the clock. */
const SOME = 32;

export interface MonitorHandlers {
  /** One notification; its body is valid during the call only. */
  onMessage(message: NetlinkMessage): void;
  /** Notifications were lost. */
  onOverrun(): void;
}

export class NetlinkMonitor {
  readonly #fd: number;
  readonly #wake: number;
  readonly #buffer = Buffer.allocUnsafeSlow(DATAGRAM_BYTES);

  private constructor(fd: number, wake: number) {
    this.#fd = fd;
    this.#wake = wake;
  }

  /** Subscribes to multicast groups of the caller's namespace; what happens from now on is not missed. */
  static open(groups: readonly number[], protocol: number = NETLINK_ROUTE): NetlinkMonitor {
    const fd = openForNotifications(protocol);
    try {
      widenReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
      for (const group of groups) subscribe(fd, group);
      return new NetlinkMonitor(fd, ffi.eventfd());
    } catch (error) {
      ffi.close(fd);
      throw error;
    }
  }

  /**
   * Hands on notifications until the signal aborts, then closes the socket. It parks one thread of libuv's
   * pool meanwhile. A handler that throws ends it, and the promise rejects with what was thrown.
   */
  async run(handlers: MonitorHandlers, signal: AbortSignal): Promise<void> {
    const wake = () => ffi.wake(this.#wake);
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        const ready = await ffi.pollReadableAsync([this.#fd, this.#wake]);
        while (!signal.aborted && ready.includes(this.#fd) && !this.#drain(handlers)) await turn();
      }
    } finally {
      signal.removeEventListener('abort', wake);
      ffi.close(this.#fd);
      ffi.close(this.#wake);
    }
  }

  /** Hands on what waits, for so long; answers whether that was all. */
  #drain(handlers: MonitorHandlers): boolean {
    const begunMs = performance.now();
    for (let count = 1; ; count++) {
      if (count % SOME === 0 && performance.now() - begunMs > SLICE_MS) return false;
      let length: number | undefined;
      try {
        length = ffi.recv(this.#fd, this.#buffer, 'read notifications');
      } catch (error) {
        if (!failedWith(error, 'ENOBUFS')) throw error;
        handlers.onOverrun();
        continue;
      }
      if (length === undefined) return true;
      for (const message of readMessages(this.#buffer.subarray(0, length))) handlers.onMessage(message);
    }
  }
}
