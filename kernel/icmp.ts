/**
 * Echo requests of any size that may not be cut, and what comes back for them: an answer, or a router's refusal
 * (RFC 792, RFC 4443). The socket belongs to the namespace in which it was opened.
 */
import { randomBytes } from 'node:crypto';
import { type Family, type Ip, ipOfBytes } from '../inet/ip.ts';
import { KernelError } from './errors.ts';
import * as ffi from './ffi.ts';
import { afOf } from './netlink/rtnl.ts';
import { socketAddress } from './udp.ts';

export type EchoOutcome =
  | { readonly kind: 'answered'; readonly rttMs: number }
  /** A router or the target reports that it is too large. `mtuBytes`: what would pass there. */
  | { readonly kind: 'refused'; readonly by: Ip; readonly mtuBytes: number | undefined }
  /** This host does not send it: errno's name, `EMSGSIZE` where its own link is too narrow. */
  | { readonly kind: 'unsent'; readonly code: string }
  | { readonly kind: 'silent' };

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const PMTUDISC_PROBE = 3;
const ECHO_BYTES = 8;

/** Numbers of ICMP and of ICMPv6 (RFC 792, RFC 4443). */
const families = {
  ipv4: { level: 0, protocol: 1, ipBytes: 20, ask: 8, answer: 0, unreachable: [3, 11], tooBig: [3, 4] },
  ipv6: {
    level: 41,
    protocol: 58,
    ipBytes: 40,
    ask: 128,
    answer: 129,
    unreachable: [1, 2, 3],
    tooBig: [2, 0],
  },
} as const;

export class EchoSocket {
  readonly #family: Family;
  readonly #fd: number;

  private constructor(family: Family, fd: number) {
    this.#family = family;
    this.#fd = fd;
  }

  /** @throws KernelError EPERM without CAP_NET_RAW */
  static open(family: Family): EchoSocket {
    const { level, protocol } = families[family];
    const fd = ffi.socket(afOf(family), SOCK_RAW | SOCK_NONBLOCK, protocol);
    ffi.setSocketOption(fd, level, family === 'ipv4' ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    if (family === 'ipv6') ffi.setSocketOption(fd, level, IPV6_DONTFRAG, 1);
    return new EchoSocket(family, fd);
  }

  /** Asks once. `sizeBytes`: of the whole IP packet. One question at a time. */
  async ask(
    target: Ip,
    how: { readonly sizeBytes: number; readonly timeoutMs: number },
  ): Promise<EchoOutcome> {
    const { ipBytes } = families[this.#family];
    const token = randomBytes(4);
    const packet = Buffer.alloc(Math.max(how.sizeBytes - ipBytes, ECHO_BYTES));
    packet[0] = families[this.#family].ask;
    token.copy(packet, 4);
    // ICMPv6's covers addresses too, and is the kernel's work.
    if (this.#family === 'ipv4') packet.writeUInt16BE(checksumOf(packet), 2);
    const sentMs = performance.now();
    try {
      ffi.sendTo(this.#fd, packet, socketAddress(target, 0), 'send an echo request');
    } catch (error) {
      if (error instanceof KernelError) return { kind: 'unsent', code: error.code };
      throw error;
    }
    for (;;) {
      const leftMs = how.timeoutMs - (performance.now() - sentMs);
      if (leftMs <= 0) return { kind: 'silent' };
      await ffi.pollReadableAsync([this.#fd], Math.ceil(leftMs));
      const outcome = this.#receive(token, sentMs);
      if (outcome) return outcome;
    }
  }

  close(): void {
    ffi.close(this.#fd);
  }

  /** Everything that has come; every socket of this kind is given all ICMP of the namespace. */
  #receive(token: Buffer, sentMs: number): EchoOutcome | undefined {
    const data = Buffer.alloc(2048);
    const address = Buffer.alloc(28);
    for (;;) {
      const length = ffi.recvFrom(this.#fd, { data, address }, 'read an echo answer');
      if (length === undefined) return undefined;
      const outcome = outcomeOf(data.subarray(0, length), { family: this.#family, token, address });
      if (outcome === 'answered') return { kind: 'answered', rttMs: performance.now() - sentMs };
      if (outcome) return outcome;
    }
  }
}

/** What one packet means for an echo request; undefined: nothing. */
function outcomeOf(
  packet: Buffer,
  asked: { readonly family: Family; readonly token: Buffer; readonly address: Buffer },
): 'answered' | Extract<EchoOutcome, { kind: 'refused' }> | undefined {
  const { answer, ask, unreachable, tooBig } = families[asked.family];
  const v4 = asked.family === 'ipv4';
  // A raw socket of IPv4 is given the header as well.
  const message = packet.subarray(v4 ? ((packet[0] ?? 0) & 15) * 4 : 0);
  if (message.length < ECHO_BYTES) return undefined;
  const [type = -1, code = -1] = message;
  if (type === answer) return message.subarray(4, 8).equals(asked.token) ? 'answered' : undefined;
  if (!unreachable.some((each) => each === type)) return undefined;
  const quoted = message.subarray(ECHO_BYTES);
  const inner = quoted.subarray(v4 ? ((quoted[0] ?? 0) & 15) * 4 : 40);
  if (inner.length < ECHO_BYTES || inner[0] !== ask || !inner.subarray(4, 8).equals(asked.token))
    return undefined;
  const isTooBig = type === tooBig[0] && code === tooBig[1];
  const mtuBytes = isTooBig ? (v4 ? message.readUInt16BE(6) : message.readUInt32BE(4)) : undefined;
  const by = ipOfBytes(asked.address.subarray(v4 ? 4 : 8, v4 ? 8 : 24));
  return { kind: 'refused', by, mtuBytes };
}

/** RFC 1071. */
function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length % 2) sum += (bytes.at(-1) ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
