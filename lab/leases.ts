/** The leases in a lab's store: what the nodes announce to each other. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSubnetKey, subnetsFolder } from '../agent/lease/flannel/key.ts';
import { decodeValue } from '../agent/lease/flannel/value.ts';
import type { LeaseAttributes } from '../agent/lease/lease.ts';
import { type Cidr, firstIp } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import { LabError } from './errors.ts';
import type { EtcdMember } from './etcd.ts';
import type { Lab } from './lab.ts';
import { labFolder } from './names.ts';
import type { LabNode } from './node.ts';

export interface LabLease extends LeaseAttributes {
  /** The node whose address it names; undefined if it is none of the lab's. */
  readonly node: string | undefined;
  readonly subnets: readonly Cidr[];
}

/** Every lease in the store, by subnet. Throws `LabError` for a record that is none. */
export async function readLeases(lab: Lab): Promise<LabLease[]> {
  const [member] = lab.etcd;
  const records = member ? await recordsOfEtcd(member) : recordsOfFolder(lab.name);
  const leases = records.map(({ key, value }): LabLease => {
    const subnets = parseSubnetKey(key);
    const attributes = decodeValue(value);
    if (!subnets || typeof attributes === 'string') {
      throw new LabError(
        `${subnetsFolder}${key} is no lease: ${subnets ? attributes : 'its name is no subnet'}`,
      );
    }
    return { ...attributes, subnets, node: ownerOf(attributes, lab.nodes) };
  });
  return leases.sort((a, b) => (baseOf(a) < baseOf(b) ? -1 : 1));
}

interface Record {
  /** Without what is before the subnet. */
  readonly key: string;
  readonly value: string;
}

function recordsOfFolder(lab: string): Record[] {
  const folder = join(labFolder(lab), 'store', subnetsFolder);
  return readdirSync(folder).map((key) => ({ key, value: readFileSync(join(folder, key), 'utf8') }));
}

async function recordsOfEtcd(member: EtcdMember): Promise<Record[]> {
  const prefix = `/coreos.com/network/${subnetsFolder}`;
  const answer = JSON.parse(await member.ctl('get', '--prefix', prefix, '--write-out', 'json')) as {
    kvs?: { key: string; value: string }[];
  };
  const text = (base64: string) => Buffer.from(base64, 'base64').toString();
  return (answer.kvs ?? []).map(({ key, value }) => ({
    key: text(key).slice(prefix.length),
    value: text(value),
  }));
}

const ownerOf = (attributes: LeaseAttributes, nodes: readonly LabNode[]): string | undefined =>
  nodes.find((node) => attributes.publicIps.some((ip) => node.addresses.includes(formatIp(ip))))?.name;

const baseOf = (lease: LabLease): bigint => (lease.subnets[0] ? firstIp(lease.subnets[0]).value : 0n);
