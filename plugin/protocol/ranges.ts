/**
 * Ranges of addresses as host-local's configuration has them: defaults, and what is refused
 * (`plugins/ipam/host-local/backend/allocator/range.go` and `range_set.go` of the reference plugins).
 */
import {
  type Cidr,
  containsIp,
  formatCidr,
  lastIp,
  networkOf,
  nthIp,
  parseInterfaceAddress,
} from '../../inet/cidr.ts';
import { addToIp, bitsOf, formatIp, type Ip } from '../../inet/ip.ts';
import { CniError } from '../errors.ts';
import { asList, asString, excerpt, Fields } from './fields.ts';
import type { AddressRange, RangeSet } from './network.ts';
import { asIp } from './scalars.ts';

/** The whole of a subnet: gateway `.1`, addresses from `.1` to the last (IPv4: the last but the broadcast). */
export function wholeSubnet(subnet: Cidr): AddressRange {
  if (subnet.length > bitsOf(subnet.family) - 2) {
    throw new CniError('invalid-config', `Network ${formatCidr(subnet)} too small to allocate from`);
  }
  const last = lastIp(subnet);
  return {
    subnet,
    start: nthIp(subnet, 1),
    end: subnet.family === 'ipv4' ? addToIp(last, -1) : last,
    gateway: nthIp(subnet, 1),
  };
}

/** One range: `{subnet, rangeStart?, rangeEnd?, gateway?}`. */
export function decodeRange(fields: Fields): AddressRange {
  const subnet = decodeSubnet(fields.raw('subnet'), fields.at('subnet'));
  const whole = wholeSubnet(subnet);
  const start = ipOf(fields, 'rangeStart') ?? whole.start;
  const end = ipOf(fields, 'rangeEnd') ?? whole.end;
  const gateway = ipOf(fields, 'gateway') ?? whole.gateway;
  for (const [name, address] of Object.entries({ RangeStart: start, RangeEnd: end })) {
    if (!containsIp(subnet, address)) {
      throw invalid(`${name} ${formatIp(address)} not in network ${formatCidr(subnet)}`);
    }
  }
  if (start.value > end.value) {
    throw invalid(`RangeStart ${formatIp(start)} comes after RangeEnd ${formatIp(end)}`);
  }
  if (gateway.family !== subnet.family) {
    throw invalid(`gateway ${formatIp(gateway)} is of another family than network ${formatCidr(subnet)}`);
  }
  return { subnet, start, end, gateway };
}

/** A list of range sets (`ranges`, capability `ipRanges`). */
export function decodeRangeSets(value: unknown, path: string): RangeSet[] {
  return asList(value, path).map((set, i) =>
    asList(set, `${path}[${i}]`).map((range, j) => decodeRange(Fields.of(range, `${path}[${i}][${j}]`))),
  );
}

/** Refuses sets that are empty, of mixed families, or that overlap inside or among each other. */
export function checkRangeSets(sets: readonly RangeSet[]): void {
  for (const [i, set] of sets.entries()) {
    checkRangeSet(set, i);
    for (const [j, other] of sets.slice(0, i).entries()) {
      if (set.some((a) => other.some((b) => rangesOverlap(a, b)))) {
        throw invalid(`range set ${j} overlaps with ${i}`);
      }
    }
  }
}

function checkRangeSet(set: RangeSet, index: number): void {
  const [first, ...rest] = set;
  if (!first) throw invalid(`range set ${index} is empty`);
  if (rest.some((range) => range.subnet.family !== first.subnet.family)) {
    throw invalid(`range set ${index} has mixed address families`);
  }
  for (const [i, a] of set.entries()) {
    const b = set.slice(0, i).find((other) => rangesOverlap(a, other));
    if (b) throw invalid(`subnets ${formatRange(b)} and ${formatRange(a)} overlap`);
  }
}

const rangesOverlap = (a: AddressRange, b: AddressRange): boolean =>
  a.subnet.family === b.subnet.family && a.start.value <= b.end.value && b.start.value <= a.end.value;

const formatRange = (range: AddressRange): string => `${formatIp(range.start)}-${formatIp(range.end)}`;

function decodeSubnet(value: unknown, path: string): Cidr {
  if (value === undefined || value === '') throw invalid(`${path} is missing: give the range's subnet`);
  const text = asString(value, path);
  const parsed = parseInterfaceAddress(text);
  if (!parsed) throw invalid(`${path} must be a network in CIDR notation, not ${excerpt(text)}`);
  const subnet = networkOf(parsed.address, parsed.length);
  if (subnet.base !== parsed.address.value) {
    throw invalid(
      `Network has host bits set: ${path} is ${text}, for a mask of length ${parsed.length} it is ${formatCidr(subnet)}`,
    );
  }
  return subnet;
}

function ipOf(fields: Fields, key: string): Ip | undefined {
  const text = fields.string(key);
  return text === undefined ? undefined : asIp(text, fields.at(key));
}

const invalid = (message: string): CniError => new CniError('invalid-config', message);
