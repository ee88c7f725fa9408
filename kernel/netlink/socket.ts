/**
 * A synchronous netlink socket. The kernel answers a request before send(2) returns, so a request is one
 * send and the receives that drain its answers: no event loop, no correlation of callbacks.
 *
 * A socket belongs to the network namespace in which it was opened, for life.
 */

import { failedWith, KernelError } from '../errors.ts';
import * as ffi from '../ffi.ts';
import {
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  outcomeOf,
  readMessages,
  wireLength,
  writeMessage,
} from './message.ts';

export const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_NETLINK = 270;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const SO_SNDBUFFORCE = 32;
const MSG_DONTWAIT = 0x40;
const ENOBUFS = 105;

/** Bytes of requests in one send: far below the default send buffer (212 992), and about 64 peers' entries. */
const SEND_BYTES = 32 * 1024;
/** What fits into one send, and its answers, with the default buffers (net.core.wmem_default, 212 992). */
export const TRANSACTION_BYTES = 200 * 1024;
/** A refusal takes less than 1 KiB of a receive buffer. */
const REFUSALS_BYTES = 2 * 1024 * 1024;
/** A dump's datagram is at most 32 KiB (linux/netlink.h, NLMSG_GOODSIZE and netlink_dump). */
const RECEIVE_BYTES = 64 * 1024;
/** A dump that the kernel says was torn is asked for again this often before it counts as a failure. */
const DUMP_ATTEMPTS = 20;

/** Where replies land. Requests are synchronous, so one buffer serves every socket of the process. */
const receiveBuffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);

/** What a refusal takes of a receive buffer, with the kernel's bookkeeping. */
const REFUSAL_BYTES = 1024;

interface Exchange {
  /** One per request, in order: the kernel's refusal, or undefined where it did as asked. */
  outcomes: (KernelError | undefined)[];
  /** What the kernel sent besides acknowledgements (answers to a get). */
  replies: NetlinkMessage[];
}

interface Chunk {
  bytes: Buffer;
  requests: readonly NetlinkRequest[];
  /** Sequence number of the chunk's first request; the others follow without a gap. */
  firstSeq: number;
}

export class NetlinkSocket {
  readonly #fd: number;
  #seq = 1;
  /** The largest transaction that the socket's buffers take. */
  #room = TRANSACTION_BYTES;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a socket of the given protocol (NETLINK_ROUTE 0, NETLINK_NETFILTER 12) in the caller's namespace. */
  static open(protocol: number): NetlinkSocket {
    const fd = ffi.socket(AF_NETLINK, SOCK_RAW, protocol);
    ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    if (protocol === 0) ffi.setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    return new NetlinkSocket(fd);
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
    for (const chunk of this.#chunks(requests)) {
      ffi.send(this.#fd, chunk.bytes, 0, chunk.requests[0]?.attempted() ?? 'send');
      this.#collect(chunk, exchange);
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
    for (const chunk of this.#chunks(requests)) {
      await ffi.sendAsync(this.#fd, chunk.bytes, 0, chunk.requests[0]?.attempted() ?? 'send');
      this.#collect(chunk, exchange);
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
    let last: { chunk: Chunk; sent: Promise<unknown> } | undefined;
    try {
      for (const batch of batches) {
        const chunk = this.#encode(
          batch,
          batch.reduce((sum, request) => sum + wireLength(request), 0),
        );
        const before = last;
        await before?.sent;
        last = { chunk, sent: ffi.sendAsync(this.#fd, chunk.bytes, 0, batch[0]?.attempted() ?? 'send') };
        // It is awaited one round later; until then a failure of it must not count as unhandled.
        last.sent.catch(() => {});
        if (before) yield this.#outcomes(before.chunk);
      }
      await last?.sent;
      if (last) yield this.#outcomes(last.chunk);
    } finally {
      await last?.sent.catch(() => {});
    }
  }

  #outcomes(chunk: Chunk): (KernelError | undefined)[] {
    const exchange: Exchange = { outcomes: [], replies: [] };
    this.#collect(chunk, exchange);
    return exchange.outcomes;
  }

  /**
   * A table of thousands of entries, a datagram at a time: it yields after each, so that a reader who is not in a
   * hurry can pause. `onBody` sees each entry's body in place, for the duration of the call. Returns false where the
   * table changed meanwhile and has to be read again. Until it has ended the socket must not be used otherwise.
   */
  *scan(request: NetlinkRequest, onBody: (body: Buffer) => void): Generator<void, boolean> {
    const bytes = Buffer.allocUnsafe(wireLength(request));
    const seq = this.#takeSeq(1);
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
        onBody(message.body);
      }
      yield;
    }
  }

  /**
   * Requests that the kernel carries out as one or not at all (nfnetlink's batches), framed by `begin` and
   * `end`: one send. Outcomes are per request, in order; what the kernel has to say of the whole is the first
   * one's.
   */
  transact(frame: { begin: NetlinkRequest; end: NetlinkRequest }, requests: readonly NetlinkRequest[]) {
    const framed = [frame.begin, ...requests, frame.end];
    const bytes = Buffer.allocUnsafe(framed.reduce((sum, request) => sum + wireLength(request), 0));
    this.#makeRoom(bytes.length, framed.length);
    const firstSeq = this.#takeSeq(framed.length);
    let offset = 0;
    framed.forEach((request, i) => {
      // Only kernels since 6.10 acknowledge the frame itself; every kernel answers for what is inside.
      const flags = i === requests.length ? NLM_F_ACK : 0;
      offset = writeMessage(bytes, offset, { request, flags, seq: firstSeq + i });
    });
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
    // Twice as much as it holds, because the kernel counts its own bookkeeping (sock.h, SOCK_MIN_SNDBUF).
    ffi.setSocketOption(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, 2 * bytes);
    ffi.setSocketOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, requests * REFUSAL_BYTES);
    this.#room = bytes;
  }

  /** A whole table, consistent: asked for again when the kernel says that it changed meanwhile. */
  dump(request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const messages = this.#dumpOnce(request);
      if (messages) return messages;
    }
    throw new KernelError({
      errno: 4,
      attempted: request.attempted(),
      detail: `the table changed during each of ${DUMP_ATTEMPTS} reads`,
    });
  }

  *#chunks(requests: readonly NetlinkRequest[]): Generator<Chunk> {
    let start = 0;
    while (start < requests.length) {
      let end = start;
      let length = 0;
      for (let request = requests[end]; request; request = requests[++end]) {
        const more = wireLength(request);
        if (end > start && length + more > SEND_BYTES) break;
        length += more;
      }
      yield this.#encode(requests.slice(start, end), length);
      start = end;
    }
  }

  #encode(requests: readonly NetlinkRequest[], length: number): Chunk {
    const bytes = Buffer.allocUnsafe(length);
    const firstSeq = this.#takeSeq(requests.length);
    let offset = 0;
    requests.forEach((request, i) => {
      const flags = i === requests.length - 1 ? NLM_F_ACK : 0;
      offset = writeMessage(bytes, offset, { request, flags, seq: firstSeq + i });
    });
    return { bytes, requests, firstSeq };
  }

  /** The first of `count` consecutive sequence numbers. */
  #takeSeq(count: number): number {
    if (this.#seq + count > 0xffff_ffff) this.#seq = 1;
    const first = this.#seq;
    this.#seq += count;
    return first;
  }

  #collect(chunk: Chunk, exchange: Exchange): void {
    const outcomes = new Array<KernelError | undefined>(chunk.requests.length).fill(undefined);
    const last = chunk.requests.length - 1;
    for (let done = false; !done; ) {
      for (const message of this.#receive(chunk.requests[0])) {
        const index = message.seq - chunk.firstSeq;
        const request = chunk.requests[index];
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

  #dumpOnce(request: NetlinkRequest): NetlinkMessage[] | undefined {
    const bytes = Buffer.allocUnsafe(wireLength(request));
    const seq = this.#takeSeq(1);
    writeMessage(bytes, 0, { request, flags: NLM_F_DUMP, seq });
    ffi.send(this.#fd, bytes, 0, request.attempted());
    const messages: NetlinkMessage[] = [];
    let torn = false;
    for (;;) {
      for (const message of this.#receive(request)) {
        if (message.seq !== seq) continue;
        if (message.flags & NLM_F_DUMP_INTR) torn = true;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const refusal = outcomeOf(message, request.attempted);
          if (refusal) throw refusal;
          return torn ? undefined : messages;
        }
        messages.push(message);
      }
    }
  }

  /** Everything that waits. */
  *#drain(request: NetlinkRequest | undefined): Generator<NetlinkMessage> {
    const attempted = request?.attempted() ?? 'receive';
    for (;;) {
      const length = ffi.recv(this.#fd, receiveBuffer, MSG_DONTWAIT, attempted);
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
    const length = ffi.recv(this.#fd, receiveBuffer, MSG_DONTWAIT, attempted);
    if (length === undefined) {
      throw new KernelError({ errno: ENOBUFS, attempted, detail: 'the kernel sent no acknowledgement' });
    }
    return receiveBuffer.subarray(0, length);
  }
}

/** Beyond net.core.rmem_max where we may (CAP_NET_ADMIN in the first user namespace), else up to it. */
export function widenReceiveBuffer(fd: number, bytes: number): void {
  try {
    ffi.setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  } catch (error) {
    if (!failedWith(error, 'EPERM')) throw error;
    ffi.setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
}
