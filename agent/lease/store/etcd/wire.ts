/**
 * Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), driven by the definitions' table: what
 * etcd's messages are made of, and no more. int64 and uint64 are decimal text, enumerations numbers, bytes Buffers.
 */

/** Messages by name, and what each method takes and gives. Plain data: it is put into bundles as JSON. */
export interface Definitions {
  /** By `Service.Method`. */
  readonly methods: Readonly<Record<string, { readonly request: string; readonly response: string }>>;
  readonly messages: Readonly<Record<string, readonly FieldShape[]>>;
}

export interface FieldShape {
  readonly id: number;
  readonly name: string;
  /** A scalar's name of protobuf, `enum`, or the name of a message. */
  readonly type: string;
  readonly repeated: boolean;
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

interface Scalar {
  readonly wire: number;
  /** What a message without the field says. */
  readonly initial: unknown;
  read(input: Input): unknown;
  write(value: unknown): Buffer;
}

const scalars: Readonly<Record<string, Scalar>> = {
  int64: {
    wire: VARINT,
    initial: '0',
    read: (input) => input.int64(true),
    write: (v) => varint(BigInt(String(v))),
  },
  uint64: {
    wire: VARINT,
    initial: '0',
    read: (input) => input.int64(false),
    write: (v) => varint(BigInt(String(v))),
  },
  enum: {
    wire: VARINT,
    initial: 0,
    read: (input) => input.uint32(),
    write: (v) => varint(BigInt(Number(v))),
  },
  bool: {
    wire: VARINT,
    initial: false,
    read: (input) => input.uint32() !== 0,
    write: (v) => varint(v ? 1n : 0n),
  },
  string: {
    wire: DELIMITED,
    initial: '',
    read: (input) => input.bytes().toString('utf8'),
    write: (v) => Buffer.from(String(v)),
  },
  bytes: {
    wire: DELIMITED,
    initial: Buffer.alloc(0),
    read: (input) => input.bytes(),
    write: (v) => (Buffer.isBuffer(v) ? v : Buffer.from(String(v))),
  },
};

interface Field extends FieldShape {
  /** Undefined for a message. */
  readonly scalar: Scalar | undefined;
  readonly wire: number;
}

interface Message {
  readonly fields: readonly Field[];
  readonly byId: readonly (Field | undefined)[];
}

export class Codec {
  readonly #definitions: Definitions;
  readonly #messages = new Map<string, Message>();

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
  }

  /** Fields that are not given are left out; throws for a message that is not defined. */
  encode(name: string, value: object): Buffer {
    const parts: Buffer[] = [];
    for (const field of this.#message(name).fields) {
      const found = (value as Record<string, unknown>)[field.name];
      if (found === undefined) continue;
      for (const one of field.repeated ? (found as readonly unknown[]) : [found]) {
        const content = field.scalar ? field.scalar.write(one) : this.encode(field.type, one as object);
        parts.push(varint(BigInt((field.id << 3) | field.wire)));
        if (field.wire === DELIMITED) parts.push(varint(BigInt(content.length)));
        parts.push(content);
      }
    }
    return Buffer.concat(parts);
  }

  /**
   * Every field is there: with its initial value if the message does not say it, undefined for a message. Buffers
   * are views of `bytes`. Throws `RangeError` for bytes that are no message.
   */
  decode(name: string, bytes: Buffer): object {
    return this.#read(this.#message(name), new Input(bytes), bytes.length);
  }

  #read(message: Message, input: Input, end: number): object {
    const value: Record<string, unknown> = {};
    for (const { name, repeated, scalar } of message.fields) value[name] = repeated ? [] : scalar?.initial;
    while (input.at < end) {
      const tag = input.uint32();
      const field = message.byId[tag >>> 3];
      if (field?.wire !== (tag & 7)) {
        input.skip(tag & 7);
        continue;
      }
      const found = field.scalar ? field.scalar.read(input) : this.#embedded(field.type, input);
      if (field.repeated) (value[field.name] as unknown[]).push(found);
      else value[field.name] = found;
    }
    if (input.at > end) throw new RangeError('a field goes beyond its message');
    return value;
  }

  #embedded(type: string, input: Input): object {
    const length = input.uint32();
    return this.#read(this.#message(type), input, input.at + length);
  }

  #message(name: string): Message {
    const known = this.#messages.get(name);
    if (known) return known;
    const shapes = this.#definitions.messages[name];
    if (!shapes) throw new Error(`no message ${name} is defined`);
    const fields = shapes.map((shape): Field => {
      const scalar = scalars[shape.type];
      if (!scalar && !this.#definitions.messages[shape.type]) {
        throw new Error(`${name}.${shape.name} is of type ${shape.type}, which is not known here`);
      }
      return { ...shape, scalar, wire: scalar?.wire ?? DELIMITED };
    });
    const byId: (Field | undefined)[] = [];
    for (const field of fields) byId[field.id] = field;
    const message = { fields, byId };
    this.#messages.set(name, message);
    return message;
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  // A negative number has all ten bytes.
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A place in bytes that moves on as they are read. */
class Input {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Of a longer number, which is none of etcd's, the low 32 bits. */
  uint32(): number {
    const low = this.#number(7);
    if (this.#last > 127) this.#number(3);
    return low >>> 0;
  }

  /** As decimal text. Nearly all are small; a lease's id has all 64 bits. */
  int64(signed: boolean): string {
    const low = this.#number(7);
    if (this.#last <= 127) return String(low);
    const value = BigInt(low) | (BigInt(this.#number(3)) << 49n);
    return String(signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
  }

  bytes(): Buffer {
    const length = this.uint32();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.int64(false);
    else if (wire === DELIMITED) this.#take(this.uint32());
    else if (wire === FIXED64) this.#take(8);
    else if (wire === FIXED32) this.#take(4);
    else throw new RangeError(`wire type ${wire} is not known`);
  }

  /** The last byte that `#number` read: 128 or more where it stopped before the number's end. */
  #last = 0;

  /** At most so many groups of seven bits, the lowest first; seven groups are exact in a number. */
  #number(groups: number): number {
    let value = 0;
    for (let group = 0, factor = 1; group < groups; group++, factor *= 128) {
      const byte = this.#bytes[this.at];
      if (byte === undefined) throw new RangeError('the message ends within a number');
      this.at++;
      this.#last = byte;
      value += (byte & 127) * factor;
      if (byte < 128) break;
    }
    return value;
  }

  /** Passes over so many bytes; answers where they begin. */
  #take(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new RangeError('the message ends within a field');
    return start;
  }
}
