/**
 * A synchronous netlink socket. The kernel answers a request before send(2) returns, so a request is one
 * send and the receives that drain its answers: no event loop, no correlation of callbacks.
 *
 * A socket belongs to the network namespace in which it was opened, for life.
 */

import { KernelError } from '../errors.ts';
import * as ffi from '../ffi.ts';
import { atOnce, type Steps } from '../steps.ts';
import { type Datagram, datagramOf, packed, Sequence } from './datagram.ts';
import {
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  outcomeOf,
  readMessages,
  wireLength,
  writeMessage,
} from './message.ts';
import { openForRequests, widenForTransaction, widenReceiveBuffer } from './open.ts';

const EINTR = 4;
const ENOBUFS = 105;

/** What fits into one send, and its answers, with the default buffers (net.core.wmem_default, 212 992). */
export const TRANSACTION_BYTES = 200 * 1024;
/** What a refusal takes of a receive buffer, with the kernel's bookkeeping. */
const REFUSAL_BYTES = 1024;
const REFUSALS_BYTES = 2048 * REFUSAL_BYTES;
/** A dump's datagram is at most 32 KiB (linux/netlink.h, NLMSG_GOODSIZE and netlink_dump). */
const RECEIVE_BYTES = 64 * 1024;
/** How often a dump is repeated that the kernel marks as inconsistent (NLM_F_DUMP_INTR), before it fails. */
const DUMP_ATTEMPTS = 20;

/** Where replies land. Requests are synchronous, so one buffer serves every socket of the process. */
const receiveBuffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);

interface Exchange {
  /** One per request, in order: the kernel's refusal, or undefined where it succeeded. */
  outcomes: (KernelError | undefined)[];
  /** What the kernel sent besides acknowledgements (answers to a get). */
  replies: NetlinkMessage[];
}

export class NetlinkSocket {
  readonly #fd: number;
  readonly #sequence = new Sequence();
  /** The largest transaction that the socket's buffers take. */
  #room = TRANSACTION_BYTES;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a socket of the given protocol (NETLINK_ROUTE 0, NETLINK_NETFILTER 12) in the caller's namespace. */
  static open(protocol: number): NetlinkSocket {
    return new NetlinkSocket(openForRequests(protocol));
  }

  close(): void {
    ffi.close(this.#fd);
  }

  /** Makes room for the refusals of thousands of requests in one send. */
  widen(): this {
    widenReceiveBuffer(this.#fd, REFUSALS_BYTES);
    return this;
  }

  /** Carries out the requests in order, in as few sends as possible; throws the first refusal. */
  execute(requests: readonly NetlinkRequest[]): void {
    for (const outcome of this.exchange(requests).outcomes) if (outcome) throw outcome;
  }

  /**
   * Carries out the requests in order and reports each one's outcome. A refused request does not keep
   * the following ones from being carried out: that is how the kernel treats a datagram of several messages.
   */
  attempt(requests: readonly NetlinkRequest[]): (KernelError | undefined)[] {
    return this.exchange(requests).outcomes;
  }

  /** `attempt`, and the messages that the kernel answered with. */
  exchange(requests: readonly NetlinkRequest[]): Exchange {
    const exchange: Exchange = { outcomes: [], replies: [] };
    for (const datagram of packed(requests, this.#sequence)) {
      ffi.send(this.#fd, datagram.bytes, 0, attemptedBy(datagram));
      this.#collect(datagram, exchange);
    }
    return exchange;
  }

  /** `execute` with the sends on libuv's thread pool; see `attemptAsync`. */
  async executeAsync(requests: readonly NetlinkRequest[]): Promise<void> {
    for (const outcome of await this.attemptAsync(requests)) if (outcome) throw outcome;
  }

  /**
   * `attempt` with the sends on libuv's thread pool: for requests that block for long. The socket must
   * not be used for anything else until the promise settles.
   */
  async attemptAsync(requests: readonly NetlinkRequest[]): Promise<(KernelError | undefined)[]> {
    const exchange: Exchange = { outcomes: [], replies: [] };
    for (const datagram of packed(requests, this.#sequence)) {
      await ffi.sendAsync(this.#fd, datagram.bytes, 0, attemptedBy(datagram));
      this.#collect(datagram, exchange);
    }
    return exchange.outcomes;
  }

  /**
   * `attempt` for thousands of requests, in batches of the caller's making: while the kernel works on one batch on
   * libuv's thread pool, the next is encoded here. Yields the outcomes of each batch. The socket must not be used
   * for anything else until the generator has ended.
   */
  async *attemptInTurn(
    batches: Iterable<readonly NetlinkRequest[]>,
  ): AsyncGenerator<(KernelError | undefined)[]> {
    let last: { datagram: Datagram; sent: Promise<unknown> } | undefined;
    try {
      for (const batch of batches) {
        const datagram = datagramOf(batch, this.#sequence);
        const before = last;
        await before?.sent;
        last = { datagram, sent: ffi.sendAsync(this.#fd, datagram.bytes, 0, attemptedBy(datagram)) };
        // It is awaited one round later; until then a failure of it must not count as unhandled.
        last.sent.catch(() => {});
        if (before) yield this.#outcomes(before.datagram);
      }
      await last?.sent;
      if (last) yield this.#outcomes(last.datagram);
    } finally {
      await last?.sent.catch(() => {});
    }
  }

  #outcomes(datagram: Datagram): (KernelError | undefined)[] {
    const exchange: Exchange = { outcomes: [], replies: [] };
    this.#collect(datagram, exchange);
    return exchange.outcomes;
  }

  /**
   * A table of thousands of entries, a datagram at a time: it yields after each, so that a reader who is not in a
   * hurry can pause. `onBody` sees each entry's body in place, for the duration of the call. Returns false where the
   * table changed meanwhile and has to be read again. Until it has ended the socket must not be used otherwise.
   */
  scan(request: NetlinkRequest, onBody: (body: Buffer) => void): Steps<boolean> {
    return this.#dump(request, ({ body }) => onBody(body));
  }

  /**
   * Requests that the kernel carries out as one or not at all (nfnetlink's batches), framed by `begin` and
   * `end`: one send. Outcomes are per request, in order; what the kernel has to say of the whole is the first
   * one's.
   */
  transact(frame: { begin: NetlinkRequest; end: NetlinkRequest }, requests: readonly NetlinkRequest[]) {
    const framed = [frame.begin, ...requests, frame.end];
    // Only kernels since 6.10 acknowledge the frame itself; every kernel answers for what is inside.
    const { bytes, firstSeq } = datagramOf(framed, this.#sequence, requests.length);
    this.#makeRoom(bytes.length, framed.length);
    ffi.send(this.#fd, bytes, 0, requests[0]?.attempted() ?? 'send');
    const outcomes = new Array<KernelError | undefined>(requests.length).fill(undefined);
    for (const message of this.#drain(requests[0])) {
      const index = Math.max(0, message.seq - firstSeq - 1);
      const request = requests[index];
      if (message.type !== NLMSG_ERROR || message.seq < firstSeq || !request) continue;
      outcomes[index] ??= outcomeOf(message, request.attempted);
    }
    return outcomes;
  }

  /** A transaction cannot be sent in parts, and each of its requests may be refused with a message of its own. */
  #makeRoom(bytes: number, requests: number): void {
    if (bytes <= this.#room) return;
    widenForTransaction(this.#fd, { sentBytes: bytes, answeredBytes: requests * REFUSAL_BYTES });
    this.#room = bytes;
  }

  /**
   * A whole table, consistent: asked for again when the kernel says that it changed meanwhile. `isWanted` looks at
   * each body in place; what is not wanted is left out.
   */
  dump(request: NetlinkRequest, isWanted: (body: Buffer) => boolean = () => true): NetlinkMessage[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const messages: NetlinkMessage[] = [];
      const keep = (message: NetlinkMessage): void => {
        if (isWanted(message.body)) messages.push({ ...message, body: Buffer.from(message.body) });
      };
      if (atOnce(this.#dump(request, keep))) return messages;
    }
    throw new KernelError({
      errno: EINTR,
      attempted: request.attempted(),
      detail: `the table changed during each of ${DUMP_ATTEMPTS} reads`,
    });
  }

  #collect({ requests, firstSeq }: Datagram, exchange: Exchange): void {
    const outcomes = new Array<KernelError | undefined>(requests.length).fill(undefined);
    const last = requests.length - 1;
    for (let done = false; !done; ) {
      for (const message of this.#receive(requests[0])) {
        const index = message.seq - firstSeq;
        const request = requests[index];
        if (!request) continue;
        if (message.type === NLMSG_ERROR) {
          outcomes[index] = outcomeOf(message, request.attempted);
          if (index === last) done = true;
        } else {
          exchange.replies.push(message);
        }
      }
    }
    exchange.outcomes.push(...outcomes);
  }

  /** A table, a datagram at a time; `onMessage` sees each in place. Returns whether it stayed the same meanwhile. */
  *#dump(request: NetlinkRequest, onMessage: (message: NetlinkMessage) => void): Steps<boolean> {
    const bytes = Buffer.allocUnsafe(wireLength(request));
    const seq = this.#sequence.take(1);
    writeMessage(bytes, 0, { request, flags: NLM_F_DUMP, seq });
    ffi.send(this.#fd, bytes, 0, request.attempted());
    let torn = false;
    for (;;) {
      for (const message of readMessages(this.#receiveInPlace(request))) {
        if (message.seq !== seq) continue;
        if (message.flags & NLM_F_DUMP_INTR) torn = true;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const refusal = outcomeOf(message, request.attempted);
          if (refusal) throw refusal;
          return !torn;
        }
        onMessage(message);
      }
      yield;
    }
  }

  /** Everything that waits. */
  *#drain(request: NetlinkRequest | undefined): Generator<NetlinkMessage> {
    const attempted = request?.attempted() ?? 'receive';
    for (;;) {
      const length = ffi.recv(this.#fd, receiveBuffer, attempted);
      if (length === undefined) return;
      yield* readMessages(receiveBuffer.subarray(0, length));
    }
  }

  /**
   * One datagram, copied as a whole, so that its messages can be kept. Every answer is queued by the time send
   * returned, so nothing here waits.
   */
  #receive(request: NetlinkRequest | undefined): Generator<NetlinkMessage> {
    return readMessages(Buffer.from(this.#receiveInPlace(request)));
  }

  /** One datagram, valid until the next one is received on any socket. */
  #receiveInPlace(request: NetlinkRequest | undefined): Buffer {
    const attempted = request?.attempted() ?? 'receive';
    const length = ffi.recv(this.#fd, receiveBuffer, attempted);
    if (length === undefined) {
      throw new KernelError({ errno: ENOBUFS, attempted, detail: 'the kernel sent no acknowledgement' });
    }
    return receiveBuffer.subarray(0, length);
  }
}

const attemptedBy = ({ requests: [first] }: Datagram): string => first?.attempted() ?? 'send';
