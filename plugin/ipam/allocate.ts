/**
 * The addresses of one attachment: one out of each range set, all or none (host-local's semantics,
 * plugins/ipam/host-local/main.go `cmdAdd`).
 */
import type { InterfaceAddress } from '../../inet/cidr.ts';
import { formatIp, type Ip } from '../../inet/ip.ts';
import { CniError } from '../errors.ts';
import type { RangeSet } from '../protocol/network.ts';
import { formatRangeSet, rangeOf } from './range.ts';
import type { Owner } from './record.ts';
import type { AddressStore } from './store.ts';

/** An address that was allocated, with the length of its subnet and the gateway of its range. */
export interface Allocation extends InterfaceAddress {
  readonly gateway: Ip;
}

/**
 * Allocates one address per set: a requested one where it lies in the set, else the one that has been free
 * for longest. What was allocated is given back when anything is refused.
 *
 * @throws CniError addresses-exhausted, address-not-available, input-output.
 */
export function allocateAddresses(options: {
  store: AddressStore;
  sets: readonly RangeSet[];
  requested: readonly Ip[];
  owner: Owner;
}): Allocation[] {
  const { store, sets, owner } = options;
  const wanted = assignRequested(sets, options.requested);
  const allocated: Allocation[] = [];
  try {
    for (const [i, set] of sets.entries()) {
      const address = wanted[i];
      const given = address ? store.allocateRequested(set, { address, owner }) : store.allocate(set, owner);
      allocated.push(allocationOf(set, given));
    }
    return allocated;
  } catch (error) {
    for (const { address } of allocated) store.release(address, owner);
    throw error;
  }
}

/** Which requested address each set shall give; one per set, and every one has to have its set. */
function assignRequested(sets: readonly RangeSet[], requested: readonly Ip[]): (Ip | undefined)[] {
  const left = [...requested];
  const wanted = sets.map((set) => {
    const i = left.findIndex((address) => rangeOf(set, address));
    return i < 0 ? undefined : left.splice(i, 1)[0];
  });
  if (left.length === 0) return wanted;
  throw new CniError(
    'address-not-available',
    `failed to allocate all requested IPs: ${left.map(formatIp).join(', ')}`,
    `the network has the ranges ${sets.map(formatRangeSet).join(' and ')}, and gives one address out of each`,
  );
}

function allocationOf(set: RangeSet, address: Ip): Allocation {
  const range = rangeOf(set, address);
  if (!range) throw new RangeError(`${formatIp(address)} is not in ${formatRangeSet(set)}`);
  return { address, length: range.subnet.length, gateway: range.gateway };
}
