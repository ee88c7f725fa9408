/** Which subnet a new node asks for. Pure: the store's comparison decides who gets it. */
import { createHash } from 'node:crypto';
import { type Cidr, networkOf } from '../../inet/cidr.ts';
import { bitsOf } from '../../inet/ip.ts';
import type { ClusterRange } from './cluster-config.ts';

/**
 * The first subnet of the range, counted from `start` and round the end, that overlaps none of `taken`;
 * undefined if there is none.
 */
export function freeSubnet(range: ClusterRange, taken: readonly Cidr[], start: bigint): Cidr | undefined {
  const { family } = range.cidr;
  const shift = BigInt(bitsOf(family) - range.subnetLength);
  const slotOf = (address: bigint): bigint => (address - range.subnetMin.value) >> shift;
  const last = slotOf(range.subnetMax.value);
  const used = taken
    .filter((subnet) => subnet.family === family)
    .map(({ base, length }) => ({
      from: slotOf(base),
      to: slotOf(base + (1n << BigInt(bitsOf(family) - length)) - 1n),
    }))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const from = start % (last + 1n);
  const slot = firstGap(used, from, last) ?? firstGap(used, 0n, from - 1n);
  if (slot === undefined) return undefined;
  return networkOf({ family, value: range.subnetMin.value + (slot << shift) }, range.subnetLength);
}

/** The lowest slot from `from` to `to` that no interval covers; the intervals are sorted by where they begin. */
function firstGap(
  used: readonly { from: bigint; to: bigint }[],
  from: bigint,
  to: bigint,
): bigint | undefined {
  let slot = from;
  for (const interval of used) {
    if (interval.from > slot) break;
    if (interval.to >= slot) slot = interval.to + 1n;
  }
  return slot <= to ? slot : undefined;
}

/** A start for `freeSubnet` that differs from node to node, and from one attempt to the next. */
export function hashedStart(nodeId: string, attempt: number): bigint {
  return createHash('sha256').update(`${attempt}/${nodeId}`).digest().readBigUInt64BE();
}
