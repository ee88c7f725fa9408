/** Removed links, from the kernel's notifications. */
import { failedWith } from './errors.ts';
import * as ffi from './ffi.ts';
import { readMessages } from './netlink/message.ts';
import { NETLINK_ROUTE, openForNotifications, RTNLGRP, subscribe, unsubscribe } from './netlink/open.ts';
import { AF_UNSPEC, RTM_DELLINK } from './netlink/rtnl.ts';

/** Which links were removed. Subscribed only while a call waits, because every ADD causes several notifications too. */
export class Departures {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #subscribed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static open(): Departures {
    return new Departures(openForNotifications(NETLINK_ROUTE));
  }

  subscribe(): void {
    if (!this.#subscribed) subscribe(this.#fd, RTNLGRP.link);
    this.#subscribed = true;
  }

  unsubscribe(): void {
    if (this.#subscribed) unsubscribe(this.#fd, RTNLGRP.link);
    this.#subscribed = false;
  }

  async wait(timeoutMs: number): Promise<void> {
    await ffi.pollReadableAsync([this.#fd], timeoutMs);
  }

  /** Indexes of the removed links. A bridge reports a port that leaves it in the same message type. */
  read(): number[] {
    const gone: number[] = [];
    for (let datagram = this.#receive(); datagram; datagram = this.#receive()) {
      for (const { type, body } of readMessages(datagram)) {
        if (type === RTM_DELLINK && body.readUInt8(0) === AF_UNSPEC) gone.push(body.readInt32LE(4));
      }
    }
    return gone;
  }

  close(): void {
    ffi.close(this.#fd);
  }

  #receive(): Buffer | undefined {
    for (;;) {
      try {
        const length = ffi.recv(this.#fd, this.#buffer, 'read notifications of links');
        return length === undefined ? undefined : this.#buffer.subarray(0, length);
      } catch (error) {
        // After lost notifications the calls return as well.
        if (!failedWith(error, 'ENOBUFS')) throw error;
      }
    }
  }
}
