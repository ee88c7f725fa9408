/** Which subnet a new node asks for. Pure: the store's comparison decides who gets it. */
import { createHash } from 'node:crypto';
import { type Cidr, lastIp, networkOf } from '../../../inet/cidr.ts';
import { bitsOf } from '../../../inet/ip.ts';
import type { ClusterRange } from '../flannel/cluster-config.ts';
import type { SubnetIndex } from '../view/subnet-index.ts';

/**
 * The first subnet of the range, counted from `start` and round the end, that overlaps none of `taken`;
 * undefined if there is none.
 */
export function freeSubnet(range: ClusterRange, taken: SubnetIndex, start: bigint): Cidr | undefined {
  const { family } = range.cidr;
  const shift = BigInt(bitsOf(family) - range.subnetLength);
  const slotOf = (address: bigint): bigint => (address - range.subnetMin.value) >> shift;
  const last = slotOf(range.subnetMax.value);
  const firstFree = (from: bigint, to: bigint): Cidr | undefined => {
    for (let slot = from; slot <= to; ) {
      const value = range.subnetMin.value + (slot << shift);
      const subnet = networkOf({ family, value }, range.subnetLength);
      const obstacle = taken.overlapping([subnet]);
      if (!obstacle) return subnet;
      // It may be wider than what is asked for.
      slot = slotOf(lastIp(obstacle.subnet).value) + 1n;
    }
    return undefined;
  };
  const from = start % (last + 1n);
  return firstFree(from, last) ?? firstFree(0n, from - 1n);
}

/** A start for `freeSubnet` that differs from node to node, and from one attempt to the next. */
export function hashedStart(nodeId: string, attempt: number): bigint {
  return createHash('sha256').update(`${attempt}/${nodeId}`).digest().readBigUInt64BE();
}
