/** The leases of a lab as they stand in its store: what the nodes tell each other. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSubnetKey, subnetsFolder } from '../agent/lease/key.ts';
import type { LeaseAttributes } from '../agent/lease/lease.ts';
import { decodeValue } from '../agent/lease/value.ts';
import { type Cidr, firstIp } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import { LabError } from './errors.ts';
import { labFolder } from './names.ts';
import type { LabNode } from './node.ts';

export interface LabLease extends LeaseAttributes {
  /** The node whose address it names; undefined if it is none of the lab's. */
  readonly node: string | undefined;
  readonly subnets: readonly Cidr[];
}

/** Every lease in the file store, by subnet. Throws `LabError` for a record that is none. */
export function readLeases(lab: string, nodes: readonly LabNode[]): LabLease[] {
  const folder = join(labFolder(lab), 'store', subnetsFolder);
  const leases = readdirSync(folder)
    .filter((key) => !key.startsWith('.'))
    .map((key): LabLease => {
      const subnets = parseSubnetKey(key);
      const attributes = decodeValue(readFileSync(join(folder, key), 'utf8'));
      if (!subnets || typeof attributes === 'string') {
        throw new LabError(
          `${join(folder, key)} is no lease: ${subnets ? attributes : 'its name is no subnet'}`,
        );
      }
      return { ...attributes, subnets, node: ownerOf(attributes, nodes) };
    });
  return leases.sort((a, b) => (baseOf(a) < baseOf(b) ? -1 : 1));
}

const ownerOf = (attributes: LeaseAttributes, nodes: readonly LabNode[]): string | undefined =>
  nodes.find((node) => attributes.publicIps.some((ip) => node.addresses.includes(formatIp(ip))))?.name;

const baseOf = (lease: LabLease): bigint => (lease.subnets[0] ? firstIp(lease.subnets[0]).value : 0n);
