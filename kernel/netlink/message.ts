/**
 * Netlink messages as values (linux/netlink.h). A request describes what it attempts, for error messages. It gets its
 * sequence number only when a socket sends it.
 */

import { AttrStream, type StreamData } from 'netlink/dist/structs.js';
import { type KernelError, refusalOf } from '../errors.ts';
import { TYPE_MASK } from './attribute.ts';

export interface NetlinkRequest {
  /** Message type, such as RTM_NEWLINK. */
  readonly type: number;
  /** NLM_F_CREATE, NLM_F_EXCL …; NLM_F_REQUEST, NLM_F_ACK and NLM_F_DUMP are the socket's business. */
  readonly flags: number;
  /** Everything after the netlink header. */
  readonly body: Uint8Array;
  /** What is attempted, in words; called only when it failed. */
  readonly attempted: () => string;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** The port of the socket whose request it answers or reports (nlmsg_pid); 0 is the kernel. */
  readonly portId: number;
  /** Everything after the netlink header; a view of the receive buffer, copied before it is kept. */
  readonly body: Buffer;
}

export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const HEADER_BYTES = 16;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** Attributes (TLVs) in the order in which they are pushed. */
export type Attributes = readonly (readonly [type: number, data: StreamData])[];

/**
 * Bytes of attributes, to be nested in another attribute or to stand as a message's body. A type keeps its
 * NLA_F_NESTED, which node-netlink's streams take off, and which part of the kernel insists on.
 */
export function formatAttributes(attributes: Attributes): Buffer {
  const values = attributes.map(([, data]) => bytesOf(data));
  const bytes = Buffer.alloc(
    values.reduce((sum, value) => sum + aligned(ATTRIBUTE_HEADER_BYTES + value.length), 0),
  );
  let offset = 0;
  for (const [i, value] of values.entries()) {
    const type = attributes[i]?.[0] ?? 0;
    const length = ATTRIBUTE_HEADER_BYTES + value.length;
    if (length > 0xffff) throw new RangeError(`attribute ${type} of ${length} bytes`);
    bytes.writeUInt16LE(length, offset);
    bytes.writeUInt16LE(type, offset + 2);
    bytes.set(value, offset + ATTRIBUTE_HEADER_BYTES);
    offset += aligned(length);
  }
  return bytes;
}

const bytesOf = (data: StreamData): Uint8Array =>
  data instanceof Uint8Array ? data : bodyOf((out) => out.emit(data));

const ATTRIBUTE_HEADER_BYTES = 4;

/** The body of a message that one of node-netlink's codecs writes. */
export function bodyOf(write: (out: AttrStream) => void): Buffer {
  const stream = new AttrStream();
  write(stream);
  return Buffer.concat(stream.bufs);
}

const aligned = (length: number): number => (length + 3) & ~3;

/** The length on the wire of this request, padding included. */
export const wireLength = (request: NetlinkRequest): number => aligned(HEADER_BYTES + request.body.length);

/** Writes one message at `offset` and returns the offset after its padding. */
export function writeMessage(
  into: Buffer,
  offset: number,
  message: { request: NetlinkRequest; flags: number; seq: number },
): number {
  const { request } = message;
  const length = HEADER_BYTES + request.body.length;
  into.writeUInt32LE(length, offset);
  into.writeUInt16LE(request.type, offset + 4);
  into.writeUInt16LE(NLM_F_REQUEST | request.flags | message.flags, offset + 6);
  into.writeUInt32LE(message.seq, offset + 8);
  into.writeUInt32LE(0, offset + 12);
  into.set(request.body, offset + HEADER_BYTES);
  into.fill(0, offset + length, offset + aligned(length));
  return offset + aligned(length);
}

/** The messages in one datagram. */
export function* readMessages(datagram: Buffer): Generator<NetlinkMessage> {
  let offset = 0;
  while (offset + HEADER_BYTES <= datagram.length) {
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER_BYTES || offset + length > datagram.length) {
      throw new RangeError(`netlink message of ${length} bytes in a datagram of ${datagram.length - offset}`);
    }
    yield {
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      seq: datagram.readUInt32LE(offset + 8),
      portId: datagram.readUInt32LE(offset + 12),
      body: datagram.subarray(offset + HEADER_BYTES, offset + length),
    };
    offset += aligned(length);
  }
}

/**
 * What an NLMSG_ERROR (or the NLMSG_DONE of a dump) says: undefined for success, else the error with the
 * kernel's extended-ACK text (linux/netlink.h, `enum nlmsgerr_attrs`).
 */
export function outcomeOf(message: NetlinkMessage, attempted: () => string): KernelError | undefined {
  const errno = message.body.length >= 4 ? -message.body.readInt32LE(0) : 0;
  if (errno === 0) return undefined;
  return refusalOf({ errno, attempted: attempted(), detail: extendedAck(message) });
}

function extendedAck(message: NetlinkMessage): string | undefined {
  if (!(message.flags & NLM_F_ACK_TLVS)) return undefined;
  const { body } = message;
  let offset = 4;
  if (message.type === NLMSG_ERROR) {
    const echoed = message.flags & NLM_F_CAPPED ? HEADER_BYTES : aligned(body.readUInt32LE(4));
    offset += echoed;
  }
  while (offset + 4 <= body.length) {
    const length = body.readUInt16LE(offset);
    if (length < 4) return undefined;
    if ((body.readUInt16LE(offset + 2) & TYPE_MASK) === NLMSGERR_ATTR_MSG) {
      return body.toString('utf8', offset + 4, offset + length).replace(/\0+$/, '');
    }
    offset += aligned(length);
  }
  return undefined;
}
