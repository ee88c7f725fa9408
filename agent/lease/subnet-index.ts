import { type Cidr, containsCidr, networkOf } from '../../inet/cidr.ts';
import type { Lease } from './lease.ts';

/** Finds overlaps in time that does not grow with the number of leases, as long as they are of few lengths. */
export class SubnetIndex {
  readonly #byPrefix = new Map<string, string>();
  readonly #lengths = { ipv4: new Map<number, Cidr[]>(), ipv6: new Map<number, Cidr[]>() };

  add(lease: Lease): void {
    for (const subnet of lease.subnets) {
      this.#byPrefix.set(nameOf(subnet), lease.key);
      const lengths = this.#lengths[subnet.family];
      const same = lengths.get(subnet.length);
      if (same) same.push(subnet);
      else lengths.set(subnet.length, [subnet]);
    }
  }

  /** The key of a lease that overlaps one of these. */
  overlapping(subnets: readonly Cidr[]): string | undefined {
    for (const subnet of subnets) {
      for (const [length, same] of this.#lengths[subnet.family]) {
        const found =
          length <= subnet.length
            ? networkOf({ family: subnet.family, value: subnet.base }, length)
            : same.find((other) => containsCidr(subnet, other));
        const key = found && this.#byPrefix.get(nameOf(found));
        if (key !== undefined) return key;
      }
    }
    return undefined;
  }
}

const nameOf = (subnet: Cidr): string => `${subnet.base}/${subnet.length}${subnet.family}`;
