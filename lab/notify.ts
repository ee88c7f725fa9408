/**
 * The receiving half of sd_notify(3): a datagram socket on which a daemon says `READY=1`. Node.js has no
 * datagram sockets of the Unix family, hence libc's; looked at every few milliseconds, which costs a system call.
 */
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { bind, close, recv, socket } from '../kernel/ffi.ts';
import { unixAddress } from '../kernel/unix-datagram.ts';
import { LabError } from './errors.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const intervalMs = 3;

export class NotifySocket {
  readonly #fd: number;
  readonly #path: string;

  /** Listens at a path of at most 107 bytes; an existing file is replaced. */
  constructor(path: string) {
    rmSync(path, { force: true });
    this.#path = path;
    this.#fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const address = unixAddress(path);
    if (!address) throw new LabError(`${path} is too long for the path of a socket`);
    bind(this.#fd, address, `listen at ${path}`);
  }

  /** Resolves once `READY=1` has come; rejects with the signal's reason when it is aborted. */
  async ready(signal: AbortSignal): Promise<void> {
    const datagram = Buffer.alloc(4096);
    for (;;) {
      const length = recv(this.#fd, datagram, 'wait for READY=1');
      if (length === undefined) {
        await delay(intervalMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      } else if (datagram.toString('utf8', 0, length).split('\n').includes('READY=1')) {
        return;
      }
    }
  }

  close(): void {
    close(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
