/**
 * Attributes (TLVs, linux/netlink.h `struct nlattr`) of tables with thousands of entries, read and written in
 * place: no object and no copy per attribute. What is read once a minute may use node-netlink's codecs.
 */
import type { Ip } from '../../inet/ip.ts';

const HEADER_BYTES = 4;
/** NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
export const TYPE_MASK = 0x3fff;
/** Above every RTA_*, NDA_* and RTAX_* that is read. */
const TYPES = 64;

const MAC_BYTES = 6;
/** Of a lower-case digit's character code. */
const hexDigit = (code: number): number => (code < 0x3a ? code - 0x30 : code - 0x57);

/** NLA_ALIGN. */
export const aligned = (length: number): number => (length + 3) & ~3;

/** Where each attribute of one message lies. Valid until the next `read`. */
export class AttributeIndex {
  readonly #starts = new Int32Array(TYPES);
  readonly #ends = new Int32Array(TYPES);
  #body: Buffer = Buffer.alloc(0);

  /** Finds the attributes from `offset` to `end`; of two of one type the last counts, as for the kernel. */
  read(body: Buffer, offset: number, end: number = body.length): this {
    this.#starts.fill(0);
    this.#body = body;
    for (let at = offset; at + HEADER_BYTES <= end; ) {
      const length = body.readUInt16LE(at);
      if (length < HEADER_BYTES || at + length > end) break;
      const type = body.readUInt16LE(at + 2) & TYPE_MASK;
      if (type < TYPES) {
        this.#starts[type] = at + HEADER_BYTES;
        this.#ends[type] = at + length;
      }
      at += aligned(length);
    }
    return this;
  }

  /** A view of the attribute's bytes; undefined where it is absent. */
  bytes(type: number): Buffer | undefined {
    const start = this.#starts[type];
    return start ? this.#body.subarray(start, this.#ends[type]) : undefined;
  }

  u32(type: number): number | undefined {
    const start = this.#starts[type];
    return start ? this.#body.readUInt32LE(start) : undefined;
  }

  /** The bytes as a string of as many characters, to be compared or looked up; empty where it is absent. */
  key(type: number): string {
    const start = this.#starts[type];
    return start ? this.#body.toString('latin1', start, this.#ends[type]) : '';
  }

  /** Whether it is this address in network byte order; undefined is one that is absent. */
  holdsIp(type: number, address: Ip | undefined): boolean {
    const start = this.#starts[type];
    if (!start || !address) return !start && !address;
    const length = (this.#ends[type] ?? start) - start;
    if (length === 4) {
      return address.family === 'ipv4' && this.#body.readUInt32BE(start) === Number(address.value);
    }
    return (
      length === 16 &&
      address.family === 'ipv6' &&
      this.#body.readBigUInt64BE(start) === address.value >> 64n &&
      this.#body.readBigUInt64BE(start + 8) === (address.value & 0xffff_ffff_ffff_ffffn)
    );
  }

  /** Whether it is this MAC. */
  holdsMac(type: number, mac: string): boolean {
    const start = this.#starts[type];
    if (!start || (this.#ends[type] ?? 0) - start !== MAC_BYTES) return false;
    for (let i = 0; i < MAC_BYTES; i++) {
      const octet = 16 * hexDigit(mac.charCodeAt(3 * i)) + hexDigit(mac.charCodeAt(3 * i + 1));
      if (this.#body[start + i] !== octet) return false;
    }
    return true;
  }

  /** Where its bytes begin and end, for an attribute that nests others. */
  span(type: number): readonly [start: number, end: number] | undefined {
    const start = this.#starts[type];
    return start ? [start, this.#ends[type] ?? start] : undefined;
  }
}

/** Writes one message's body: its fixed part, then attributes in the order of the calls. */
export class BodyWriter {
  readonly #scratch = Buffer.alloc(512);
  #length = 0;

  /** Begins a body with a fixed part of `bytes` zero bytes, which is returned to be filled in. */
  begin(bytes: number): Buffer {
    this.#length = bytes;
    return this.#scratch.fill(0, 0, bytes);
  }

  attribute(type: number, data: Uint8Array): this {
    const at = this.#header(type, data.length);
    this.#scratch.set(data, at);
    return this;
  }

  u32(type: number, value: number | undefined): this {
    if (value === undefined) return this;
    const at = this.#header(type, 4);
    this.#scratch.writeUInt32LE(value, at);
    return this;
  }

  /** What `write` writes becomes the content of one attribute. */
  nested(type: number, write: () => void): this {
    const start = this.#header(type, 0);
    write();
    this.#scratch.writeUInt16LE(this.#length - start + HEADER_BYTES, start - HEADER_BYTES);
    return this;
  }

  /** The body; the writer can begin another. */
  finish(): Buffer {
    return Buffer.from(this.#scratch.subarray(0, this.#length));
  }

  #header(type: number, dataBytes: number): number {
    const at = this.#length;
    this.#scratch.writeUInt16LE(HEADER_BYTES + dataBytes, at);
    this.#scratch.writeUInt16LE(type, at + 2);
    const start = at + HEADER_BYTES;
    this.#length = start + aligned(dataBytes);
    this.#scratch.fill(0, start + dataBytes, this.#length);
    return start;
  }
}
