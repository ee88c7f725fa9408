import { type Cidr, networkOf, overlaps } from '../../../inet/cidr.ts';
import type { Family } from '../../../inet/ip.ts';

/** Names by subnet. Finds overlaps in time that does not grow with their number, as long as they are of few lengths. */
export class SubnetIndex {
  /** By length, then by base. */
  readonly #names: Readonly<Record<Family, Map<number, Map<bigint, string>>>> = {
    ipv4: new Map(),
    ipv6: new Map(),
  };

  add(name: string, subnets: readonly Cidr[]): void {
    for (const { family, length, base } of subnets) {
      const same = this.#names[family].get(length);
      if (same) same.set(base, name);
      else this.#names[family].set(length, new Map([[base, name]]));
    }
  }

  /** A subnet that overlaps one of these, with its name. */
  overlapping(subnets: readonly Cidr[]): { readonly name: string; readonly subnet: Cidr } | undefined {
    for (const wanted of subnets) {
      for (const [length, same] of this.#names[wanted.family]) {
        const found = length <= wanted.length ? around(wanted, length, same) : within(wanted, length, same);
        if (found) return found;
      }
    }
    return undefined;
  }
}

type Same = ReadonlyMap<bigint, string>;

function around({ family, base }: Cidr, length: number, same: Same) {
  const subnet = networkOf({ family, value: base }, length);
  const name = same.get(subnet.base);
  return name === undefined ? undefined : { name, subnet };
}

function within(wanted: Cidr, length: number, same: Same) {
  for (const [base, name] of same) {
    const subnet = { family: wanted.family, base, length };
    if (overlaps(wanted, subnet)) return { name, subnet };
  }
  return undefined;
}
