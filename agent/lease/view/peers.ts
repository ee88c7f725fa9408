/**
 * The peers that a view amounts to. A record that stops making sense keeps the meaning it had (I3); one that
 * never made sense, or that would harm us, is left out and reported.
 */
import { type Cidr, containsCidr, containsIp, formatCidr, networkOf, overlaps } from '../../../inet/cidr.ts';
import { formatIp, type Ip, ip, sameIp } from '../../../inet/ip.ts';
import { type NodeExtension, sameExtension } from '../extension.ts';
import type { Lease, LeaseAttributes, LeaseNetwork, PeerProblem, Peers } from '../lease.ts';
import type { PeerOwner, PeerView, SubnetRecord } from './peer-view.ts';
import { SubnetIndex } from './subnet-index.ts';

export const noPeers: Peers = { leases: new Map(), complete: false, problems: [] };

export interface PeerRules {
  /** Undefined until the cluster's configuration is known. */
  readonly networks: readonly LeaseNetwork[] | undefined;
  /** The key of our own lease. */
  readonly own: string | undefined;
  readonly ownSubnets: readonly Cidr[];
  readonly ownIps: readonly Ip[];
  /** What is known from before: the last good meaning of each record. */
  readonly before: ReadonlyMap<string, Lease>;
}

export function peersOf(view: PeerView, rules: PeerRules): Peers {
  const leases = new Map<string, Lease>();
  const problems: PeerProblem[] = [];
  const report = (key: string, reason: string): void => {
    problems.push({ key: view.labelOf(key), reason });
  };
  const known: SubnetRecord[] = [];
  const fresh: SubnetRecord[] = [];
  for (const record of view.subnets()) (rules.before.has(record.key) ? known : fresh).push(record);
  const occupied = new SubnetIndex();
  const ips = { ipv4: new Map<bigint, string>(), ipv6: new Map<bigint, string>() };
  // Those we know come first: of two that overlap, the newcomer is the one left out.
  for (const record of [...known, ...fresh]) {
    if (record.key === rules.own) continue;
    const owner = view.ownerOf(record);
    const meaning = meaningOf(record, { before: rules.before.get(record.key), owner, rules });
    const { lease } = meaning;
    if (record.problem !== undefined) {
      const consequence = lease ? 'what it said before still holds' : 'that node cannot be reached';
      report(record.key, `${record.problem}: ${consequence}; have its agent write it again, or delete it`);
    }
    if (owner && meaning.extensionProblem !== undefined) {
      problems.push({
        key: view.labelOfOwner(owner),
        reason: `${meaning.extensionProblem}; the extension is ignored`,
      });
    }
    if (!lease) continue;
    const other = occupied.overlapping(lease.subnets)?.name;
    const harm =
      harmOf(lease, rules) ??
      (other === undefined
        ? undefined
        : `it overlaps ${other}, which was there before, and is left out: release one of the two`);
    if (harm !== undefined) {
      report(record.key, harm);
      continue;
    }
    for (const address of lease.publicIps) {
      const other = ips[address.family].get(address.value);
      if (other === undefined) ips[address.family].set(address.value, lease.key);
      else
        report(
          lease.key,
          `its public IP ${formatIp(address)} is also ${other}'s: correct one of the two nodes`,
        );
    }
    occupied.add(lease.key, lease.subnets);
    leases.set(lease.key, lease);
  }
  problems.push(...view.problems());
  return { leases, complete: view.complete, problems };
}

interface Meaning {
  readonly lease: Lease | undefined;
  readonly extensionProblem?: string;
}

function meaningOf(
  record: SubnetRecord,
  at: { before: Lease | undefined; owner: PeerOwner | undefined; rules: PeerRules },
): Meaning {
  const { before, owner, rules } = at;
  if (!record.attributes) return { lease: before };
  const { publicIps, backend } = record.attributes;
  const nodeName = owner?.name === '' ? undefined : owner?.name;
  const extensionProblem =
    owner?.extensionProblem ?? (owner?.extension ? harmOfExtension(owner.extension, rules) : undefined);
  // An extension that stops making sense keeps the meaning it had, as the record does.
  const extension = extensionProblem === undefined ? owner?.extension : before?.extension;
  const attributes = { publicIps, backend, ...(extension ? { extension } : {}) };
  const problem = extensionProblem === undefined ? {} : { extensionProblem };
  if (before && before.nodeName === nodeName && sameAttributes(before, attributes)) {
    return { lease: before, ...problem };
  }
  const { key, subnets } = record;
  const lease = { key, subnets, ...attributes, ...(nodeName === undefined ? {} : { nodeName }) };
  return { lease, ...problem };
}

/** Why the addresses that a peer sends from must not be trusted; undefined if they may. */
function harmOfExtension({ localIps }: NodeExtension, rules: PeerRules): string | undefined {
  for (const address of localIps) {
    const kind = unusableKind(address);
    if (kind !== undefined) return `its local IP ${formatIp(address)} is a ${kind} address`;
    if (rules.networks?.some(({ cidr }) => containsIp(cidr, address))) {
      return `its local IP ${formatIp(address)} is inside the pod network`;
    }
  }
  return undefined;
}

export const sameAttributes = (a: LeaseAttributes, b: LeaseAttributes): boolean =>
  a.backend.type === b.backend.type &&
  a.backend.vni === b.backend.vni &&
  a.backend.vtepMac === b.backend.vtepMac &&
  a.backend.vtepMac6 === b.backend.vtepMac6 &&
  sameExtension(a.extension, b.extension) &&
  a.publicIps.length === b.publicIps.length &&
  a.publicIps.every((one) => b.publicIps.some((other) => sameIp(one, other)));

/** Why a lease must not be programmed; undefined if it may. */
function harmOf(lease: Lease, rules: PeerRules): string | undefined {
  for (const subnet of lease.subnets) {
    const ours = rules.ownSubnets.find((own) => overlaps(own, subnet));
    if (ours) return `it overlaps our own ${formatCidr(ours)} and is left out: release one of the two`;
    if (rules.networks && !rules.networks.some(({ cidr }) => containsCidr(cidr, subnet))) {
      return `${formatCidr(subnet)} is outside the cluster's network and is left out: delete it`;
    }
  }
  for (const address of lease.publicIps) {
    if (rules.ownIps.some((own) => sameIp(own, address))) {
      return `its public IP ${formatIp(address)} is ours, and it is left out: if that node is gone, delete it`;
    }
    const kind = unusableKind(address);
    if (kind !== undefined)
      return `its public IP ${formatIp(address)} is a ${kind} address, and it is left out: correct that node`;
  }
  return undefined;
}

/** What makes an address useless to peers; found out once for each of thousands. */
function unusableKind(address: Ip): string | undefined {
  const known = kinds.get(address);
  if (known) return known.name;
  const kind = unusable.find(({ range }) => containsIp(range, address));
  kinds.set(address, { name: kind?.name });
  return kind?.name;
}

const kinds = new WeakMap<Ip, { readonly name: string | undefined }>();

const range = (address: string, length: number): Cidr => networkOf(ip(address), length);
const unusable = [
  { name: 'loopback', range: range('127.0.0.0', 8) },
  { name: 'link-local', range: range('169.254.0.0', 16) },
  { name: 'multicast', range: range('224.0.0.0', 4) },
  { name: 'broadcast', range: range('255.255.255.255', 32) },
  { name: 'this-network', range: range('0.0.0.0', 8) },
  { name: 'loopback', range: range('::1', 128) },
  { name: 'unspecified', range: range('::', 128) },
  { name: 'link-local', range: range('fe80::', 10) },
  { name: 'multicast', range: range('ff00::', 8) },
];
