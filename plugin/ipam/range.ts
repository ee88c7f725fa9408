/**
 * Arithmetic of ranges of addresses, after host-local's semantics (containernetworking/plugins,
 * plugins/ipam/host-local/backend/allocator). Pure: knows no files. Ranges are decoded and checked by
 * `protocol/ranges.ts`.
 */
import { bitsOf, formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import type { AddressRange, RangeSet } from '../protocol/network.ts';

const formatRange = (range: AddressRange): string => `${formatIp(range.start)}-${formatIp(range.end)}`;

export const formatRangeSet = (set: RangeSet): string => set.map(formatRange).join(',');

/** The range of the set in which the address lies. */
export const rangeOf = (set: RangeSet, address: Ip): AddressRange | undefined =>
  set.find(
    ({ subnet, start, end }) =>
      subnet.family === address.family && start.value <= address.value && address.value <= end.value,
  );

export const isGateway = (set: RangeSet, address: Ip): boolean =>
  set.some((range) => sameIp(range.gateway, address));

/** True for what is nobody's to have: a gateway, the network's own address, IPv4's broadcast. */
export function isUnusable(set: RangeSet, address: Ip): boolean {
  const subnet = rangeOf(set, address)?.subnet;
  if (!subnet || isGateway(set, address)) return true;
  const host = address.value - subnet.base;
  const last = (1n << BigInt(bitsOf(subnet.family) - subnet.length)) - 1n;
  return host === 0n || (subnet.family === 'ipv4' && host === last);
}
