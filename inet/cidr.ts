/** Prefixes as values: `10.244.1.0/24`. Host bits are never kept: a prefix is its network. */
import { bitsOf, type Family, formatIp, type Ip, parseIp, sameIp } from './ip.ts';

export interface Cidr {
  readonly family: Family;
  /** The network address as an integer; host bits are zero. */
  readonly base: bigint;
  /** Prefix length in bits. */
  readonly length: number;
}

/**
 * Parses `ADDRESS/LENGTH`. Returns undefined where it is not a prefix *or has host bits set*
 * (`10.244.1.5/24`): whoever wants an interface address parses with `parseInterfaceAddress`.
 */
export function parseCidr(text: string): Cidr | undefined {
  const parsed = parseInterfaceAddress(text);
  if (!parsed) return undefined;
  const network = networkOf(parsed.address, parsed.length);
  return network.base === parsed.address.value ? network : undefined;
}

/** Parses text that is known to be a prefix; throws `RangeError` naming it otherwise. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new RangeError(`${JSON.stringify(text)} is not a network in CIDR notation`);
  return parsed;
}

/** An address together with the length of its network, as an interface has it: `10.244.1.1/24`. */
export interface InterfaceAddress {
  readonly address: Ip;
  readonly length: number;
}

/** Parses `ADDRESS/LENGTH`, host bits allowed; undefined if it is not of that form. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return undefined;
  const address = parseIp(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!address || !/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bitsOf(address.family)) {
    return undefined;
  }
  return { address, length: Number(digits) };
}

export const formatInterfaceAddress = (a: InterfaceAddress): string => `${formatIp(a.address)}/${a.length}`;

export const sameInterfaceAddress = (a: InterfaceAddress, b: InterfaceAddress): boolean =>
  a.length === b.length && sameIp(a.address, b.address);

/** How many bits of an address a prefix leaves to its hosts; kept, because making a bigint is slower than using it. */
const hostBits = (family: Family, length: number): bigint =>
  counts[bitsOf(family) - length] ?? BigInt(bitsOf(family) - length);
const counts: readonly bigint[] = Array.from({ length: 129 }, (_, count) => BigInt(count));

/** The network of that length in which the address lies. */
export function networkOf(address: Ip, length: number): Cidr {
  const shift = hostBits(address.family, length);
  return { family: address.family, base: (address.value >> shift) << shift, length };
}

export const formatCidr = (prefix: Cidr): string => `${formatIp(firstIp(prefix))}/${prefix.length}`;

/** The network address itself (`.0`). */
export const firstIp = (prefix: Cidr): Ip => ({ family: prefix.family, value: prefix.base });

/** The last address (IPv4: the broadcast address). */
export const lastIp = (prefix: Cidr): Ip => ({
  family: prefix.family,
  value: prefix.base + sizeOf(prefix) - 1n,
});

/** The `n`th address, counted from the network address (0). */
export const nthIp = (prefix: Cidr, n: bigint | number): Ip => ({
  family: prefix.family,
  value: prefix.base + BigInt(n),
});

/** How many addresses it holds, network and broadcast included. */
export const sizeOf = (prefix: Cidr): bigint => 1n << hostBits(prefix.family, prefix.length);

export const containsIp = (prefix: Cidr, address: Ip): boolean =>
  prefix.family === address.family &&
  (address.value ^ prefix.base) >> hostBits(prefix.family, prefix.length) === 0n;

export const containsCidr = (outer: Cidr, inner: Cidr): boolean =>
  inner.length >= outer.length &&
  outer.family === inner.family &&
  (inner.base ^ outer.base) >> hostBits(outer.family, outer.length) === 0n;

export const overlaps = (a: Cidr, b: Cidr): boolean => containsCidr(a, b) || containsCidr(b, a);

export const sameCidr = (a: Cidr, b: Cidr): boolean =>
  a.family === b.family && a.base === b.base && a.length === b.length;

/** The prefix that holds every address of the family: the default route's destination. */
export const everything = (family: Family): Cidr => ({ family, base: 0n, length: 0 });
