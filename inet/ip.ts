/**
 * IP addresses as values. One type for both families; the family travels in the value, so that no
 * function here or elsewhere exists twice with a 4 and a 6 in its name. Text is parsed here and not by
 * `node:net`: loading that is a tenth of the time that a process for one CNI call takes.
 */
export type Family = 'ipv4' | 'ipv6';

/** An address: `value` is the unsigned integer whose big-endian bytes are the address (RFC 791, RFC 4291). */
export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** Width of an address of this family in bits. */
export const bitsOf = (family: Family): 32 | 128 => (family === 'ipv4' ? 32 : 128);

/** Parses the text form (dotted quad, or RFC 4291 section 2.2 without a zone); undefined if it is neither. */
export function parseIp(text: string): Ip | undefined {
  const family = text.includes(':') ? 'ipv6' : 'ipv4';
  const value = family === 'ipv6' ? ipv6Value(text) : ipv4Value(text);
  return value === undefined ? undefined : { family, value };
}

/** Parses text that is known to be an address; throws `RangeError` naming the text otherwise. */
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (!parsed) throw new RangeError(`${JSON.stringify(text)} is not an IP address`);
  return parsed;
}

/** The canonical text form; IPv6 as RFC 5952 section 4 says (lower case, longest run of zeros as `::`). */
export function formatIp(address: Ip): string {
  if (address.family === 'ipv4') {
    const bits = Number(address.value);
    return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
  }
  const bytes = bytesOfIp(address);
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i));
  return compressGroups(groups);
}

/** The address in network byte order: 4 or 16 bytes. */
export function bytesOfIp(address: Ip): Buffer {
  if (address.family === 'ipv4') {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32BE(Number(address.value));
    return bytes;
  }
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeBigUInt64BE(address.value >> 64n, 0);
  bytes.writeBigUInt64BE(address.value & 0xffff_ffff_ffff_ffffn, 8);
  return bytes;
}

/** Its bytes as a string of as many characters: what an address is looked up by where there are thousands. */
export const keyOfIp = (address: Ip): string => bytesOfIp(address).toString('latin1');

/** The address whose network-order bytes these are; throws `RangeError` unless there are 4 or 16. */
export function ipOfBytes(bytes: Uint8Array): Ip {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length === 4) return { family: 'ipv4', value: BigInt(view.readUInt32BE()) };
  if (view.length === 16) {
    return { family: 'ipv6', value: (view.readBigUInt64BE(0) << 64n) | view.readBigUInt64BE(8) };
  }
  throw new RangeError(`an address has 4 or 16 bytes, not ${view.length}`);
}

/** The IPv6 link-local address that follows from a MAC (RFC 4291 appendix A, modified EUI-64). */
export function linkLocalIp(mac: string): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac
    .split(':')
    .map((octet) => Number.parseInt(octet, 16));
  const bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f];
  return ipOfBytes(Uint8Array.from(bytes));
}

/** The group by which neighbours ask for an IPv6 address (RFC 4291, section 2.7.1). */
export const solicitedNodeGroup = ({ value }: Ip): Ip => ({
  family: 'ipv6',
  value: SOLICITED_NODE | (value & 0xff_ffffn),
});
const SOLICITED_NODE = 0xff02_0000_0000_0000_0000_0001_ff00_0000n;

export const sameIp = (a: Ip, b: Ip): boolean => a.family === b.family && a.value === b.value;

/** The address `offset` further on (or back); throws `RangeError` beyond the end of the family. */
export function addToIp(address: Ip, offset: bigint | number): Ip {
  const value = address.value + BigInt(offset);
  if (value < 0n || value >> BigInt(bitsOf(address.family)) !== 0n) {
    throw new RangeError(`${formatIp(address)} + ${offset} is outside ${address.family}`);
  }
  return { family: address.family, value };
}

/** Four octets without leading zeros. By hand: an agent reads thousands when it starts. */
function ipv4Value(text: string): bigint | undefined {
  let value = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (digits === 0 || ++dots > 3) return undefined;
      value = value * 256 + octet;
      octet = 0;
      digits = 0;
    } else if (code >= 48 && code <= 57) {
      if (digits > 0 && octet === 0) return undefined;
      octet = octet * 10 + code - 48;
      if (octet > 255) return undefined;
      digits++;
    } else return undefined;
  }
  return dots === 3 && digits > 0 ? BigInt(value * 256 + octet) : undefined;
}

function ipv6Value(text: string): bigint | undefined {
  const [left = [], right, ...more] = withoutDots(text)
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  const given = left.length + (right?.length ?? 0);
  // `::` stands for one group or more.
  if (more.length > 0 || (right ? given > 7 : given !== 8)) return undefined;
  const groups = [...left, ...new Array<string>(8 - given).fill('0'), ...(right ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`);
}

/** Where the last 32 bits are written as a dotted quad, they become two groups. */
function withoutDots(text: string): string {
  if (!text.includes('.')) return text;
  const tail = text.lastIndexOf(':') + 1;
  const value = ipv4Value(text.slice(tail));
  if (value === undefined) return text;
  return `${text.slice(0, tail)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

function compressGroups(groups: number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (best.start < 0) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
