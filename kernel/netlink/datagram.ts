/** Requests packed into datagrams: several go in one send, and each is identified by its sequence number. */
import { type NetlinkRequest, NLM_F_ACK, wireLength, writeMessage } from './message.ts';

export interface Datagram {
  readonly bytes: Buffer;
  readonly requests: readonly NetlinkRequest[];
  /** Sequence number of the first request; the others follow without a gap. */
  readonly firstSeq: number;
}

/** Far below the default send buffer (212 992), and about 64 peers' entries. */
const DATAGRAM_BYTES = 32 * 1024;

/** Hands out sequence numbers that follow one another. */
export class Sequence {
  #next = 1;

  /** The first of `count`. */
  take(count: number): number {
    if (this.#next + count > 0xffff_ffff) this.#next = 1;
    const first = this.#next;
    this.#next += count;
    return first;
  }
}

/** As few datagrams as possible, in order. */
export function* packed(requests: readonly NetlinkRequest[], sequence: Sequence): Generator<Datagram> {
  let start = 0;
  while (start < requests.length) {
    let end = start;
    let length = 0;
    for (let request = requests[end]; request; request = requests[++end]) {
      const more = wireLength(request);
      if (end > start && length + more > DATAGRAM_BYTES) break;
      length += more;
    }
    yield datagramOf(requests.slice(start, end), sequence);
    start = end;
  }
}

/** All in one. `acknowledged`: the requests that the kernel confirms; errors are always reported. */
export function datagramOf(
  requests: readonly NetlinkRequest[],
  sequence: Sequence,
  acknowledged: number = requests.length - 1,
): Datagram {
  const bytes = Buffer.allocUnsafe(requests.reduce((sum, request) => sum + wireLength(request), 0));
  const firstSeq = sequence.take(requests.length);
  let offset = 0;
  requests.forEach((request, i) => {
    const flags = i === acknowledged ? NLM_F_ACK : 0;
    offset = writeMessage(bytes, offset, { request, flags, seq: firstSeq + i });
  });
  return { bytes, requests, firstSeq };
}
