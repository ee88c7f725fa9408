/**
 * Fields of set keys and map data, as nft names them and as the kernel lays them out.
 *
 * To the kernel a key is only bytes. Several fields are concatenated, each padded to whole 32-bit
 * registers; a field that stands alone is not padded.
 */
import { bytesOfIp, type Family, formatIp, type Ip, ipOfBytes } from '../../inet/ip.ts';
import { bytesOfMac, formatMac } from '../../inet/mac.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** What a field of each type is as a value; the type's name is nft's. */
export interface FieldValues {
  ipv4_addr: Ip;
  ipv6_addr: Ip;
  inet_proto: Protocol;
  inet_service: number;
  ifname: string;
  ether_addr: string;
}
export type FieldType = keyof FieldValues;
export type FieldValue = FieldValues[FieldType];

/** The values that belong to a list of types. */
export type Fields<Types extends readonly FieldType[]> = {
  readonly [Index in keyof Types]: FieldValues[Types[Index]];
};

/** IPPROTO_* (RFC 1700 and successors). */
export const protocolNumbers: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

interface Codec<Value> {
  readonly bytes: number;
  encode(value: Value): Buffer;
  decode(bytes: Buffer): Value;
  format(value: Value): string;
}

const IFNAMSIZ = 16;

const address = (bytes: number): Codec<Ip> => ({
  bytes,
  encode: bytesOfIp,
  decode: ipOfBytes,
  format: formatIp,
});

const codecs: { readonly [Type in FieldType]: Codec<FieldValues[Type]> } = {
  ipv4_addr: address(4),
  ipv6_addr: address(16),
  inet_proto: {
    bytes: 1,
    encode: (value) => Buffer.from([protocolNumbers[value]]),
    decode: (bytes) => protocolOfNumber(bytes[0]),
    format: String,
  },
  inet_service: {
    bytes: 2,
    encode: (value) => Buffer.from([value >> 8, value & 0xff]),
    decode: (bytes) => bytes.readUInt16BE(0),
    format: String,
  },
  ifname: {
    bytes: IFNAMSIZ,
    encode: encodeInterfaceName,
    decode: (bytes) => bytes.toString('utf8').replace(/\0.*$/s, ''),
    format: String,
  },
  ether_addr: { bytes: 6, encode: bytesOfMac, decode: formatMac, format: String },
};

function protocolOfNumber(number: number | undefined): Protocol {
  const found = Object.entries(protocolNumbers).find(([, value]) => value === number);
  if (!found) throw new RangeError(`unknown protocol ${number} in a set of weft`);
  return found[0] as Protocol;
}

function encodeInterfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(IFNAMSIZ);
  if (Buffer.byteLength(name) >= IFNAMSIZ) throw new RangeError(`interface name too long: ${name}`);
  bytes.write(name);
  return bytes;
}

// One place where a type's name and its value's type are tied together by hand: TypeScript cannot follow
// a table that is indexed by a union.
const codecOf = (type: FieldType): Codec<FieldValue> => codecs[type] as Codec<FieldValue>;

const padded = (bytes: number): number => (bytes + 3) & ~3;

/** The bytes of a key (or datum) of these types. */
export function encodeFields(types: readonly FieldType[], values: readonly FieldValue[]): Buffer {
  if (types.length !== values.length) {
    throw new RangeError(`${values.length} values for a key of ${types.length} fields`);
  }
  const parts = types.map((type, i) => encodeField(type, values[i]));
  if (parts.length === 1) return parts[0] ?? Buffer.alloc(0);
  return Buffer.concat(
    parts.map((part) => Buffer.concat([part, Buffer.alloc(padded(part.length) - part.length)])),
  );
}

function encodeField(type: FieldType, value: FieldValue | undefined): Buffer {
  const codec = codecOf(type);
  const bytes = value === undefined ? undefined : codec.encode(value);
  if (bytes?.length !== codec.bytes) throw new RangeError(`${JSON.stringify(String(value))} is no ${type}`);
  return bytes;
}

/** The values in the bytes of a key (or datum) of these types. */
export function decodeFields<const Types extends readonly FieldType[]>(
  types: Types,
  bytes: Buffer,
): Fields<Types> {
  let offset = 0;
  const values = types.map((type) => {
    const codec = codecOf(type);
    const value = codec.decode(bytes.subarray(offset, offset + codec.bytes));
    offset += padded(codec.bytes);
    return value;
  });
  return values as unknown as Fields<Types>;
}

/** For people, as nft writes it: `tcp . 8080`. */
export const formatFields = (types: readonly FieldType[], values: readonly FieldValue[]): string =>
  types.map((type, i) => formatField(type, values[i])).join(' . ');

function formatField(type: FieldType, value: FieldValue | undefined): string {
  return value === undefined ? '?' : codecOf(type).format(value);
}

/** The same in nft's language, for commands. */
export const quoteFields = (types: readonly FieldType[], values: readonly FieldValue[]): string =>
  types
    .map((type, i) =>
      type === 'ifname' ? `"${formatField(type, values[i])}"` : formatField(type, values[i]),
    )
    .join(' . ');

/** The length of a key of these types in bytes, as the kernel counts it (NFTA_SET_KEY_LEN). */
export function lengthOfFields(types: readonly FieldType[]): number {
  const lengths = types.map((type) => codecOf(type).bytes);
  return lengths.length === 1 ? (lengths[0] ?? 0) : lengths.reduce((sum, length) => sum + padded(length), 0);
}

/** nft's names for what differs between the families of IP. */
export const protocolOf = (family: Family): 'ip' | 'ip6' => (family === 'ipv4' ? 'ip' : 'ip6');
export const addressTypeOf = <F extends Family>(family: F): `${F}_addr` => `${family}_addr`;
