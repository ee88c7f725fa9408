/**
 * Why a peer's record must not be programmed. Writers of the store are trusted with the peers' subnets and addresses,
 * not with this node: see docs/security.md.
 */
import { type Cidr, containsCidr, containsIp, formatCidr, networkOf, overlaps } from '../../../inet/cidr.ts';
import { formatIp, type Ip, ip, sameIp } from '../../../inet/ip.ts';
import type { NodeExtension } from '../extension.ts';
import type { Lease, LeaseNetwork } from '../lease.ts';

export interface HarmRules {
  /** Undefined until the cluster's configuration is known. */
  readonly networks: readonly LeaseNetwork[] | undefined;
  /** All nodes hold subnets of the networks' lengths; Kubernetes may hand out others. */
  readonly oneLength: boolean;
  readonly ownSubnets: readonly Cidr[];
  readonly ownIps: readonly Ip[];
  /** MACs of this node's VXLAN devices. */
  readonly ownMacs: readonly string[];
}

/** Undefined if the lease may be programmed, as far as it does not meet another peer's. */
export function harmOf(lease: Lease, rules: HarmRules): string | undefined {
  const place = placeFault(lease.subnets, rules);
  if (place !== undefined) return place;
  for (const address of lease.publicIps) {
    if (rules.ownIps.some((own) => sameIp(own, address))) {
      return `its public IP ${formatIp(address)} is ours, and it is left out: if that node is gone, delete it`;
    }
    const fault = addressFault(address, rules);
    if (fault !== undefined) {
      return `its public IP ${formatIp(address)} is ${fault}, and it is left out: correct that node`;
    }
  }
  const { vtepMac, vtepMac6 } = lease.backend;
  const mac = [vtepMac, vtepMac6].find((one) => one !== undefined && rules.ownMacs.includes(one));
  if (mac !== undefined) {
    return `its VTEP MAC ${mac} is ours, and it is left out: if that machine is a clone of this one, remove its state directory`;
  }
  return undefined;
}

function placeFault(subnets: readonly Cidr[], rules: HarmRules): string | undefined {
  for (const subnet of subnets) {
    const ours = rules.ownSubnets.find((own) => overlaps(own, subnet));
    if (ours) return `it overlaps our own ${formatCidr(ours)} and is left out: release one of the two`;
    if (rules.networks && !rules.networks.some(({ cidr }) => containsCidr(cidr, subnet))) {
      return `${formatCidr(subnet)} is outside the cluster's network and is left out: delete it`;
    }
  }
  return undefined;
}

/** Why a newcomer is left out by its key alone, so that its value need not be decoded. */
export function keyFault(subnets: readonly Cidr[], rules: HarmRules): string | undefined {
  const place = placeFault(subnets, rules);
  if (place !== undefined) return place;
  const length = lengthFault(subnets, rules);
  return length === undefined ? undefined : `${length}: it is left out; delete it`;
}

/** Undefined if the subnets are of the length that the cluster hands out. */
export function lengthFault(
  subnets: readonly Cidr[],
  { networks, oneLength }: HarmRules,
): string | undefined {
  if (!oneLength) return undefined;
  for (const subnet of subnets) {
    const range = networks?.find(({ cidr }) => containsCidr(cidr, subnet));
    if (range && subnet.length !== range.subnetLength) {
      return `${formatCidr(subnet)} is a /${subnet.length}, and the cluster's nodes hold a /${range.subnetLength}`;
    }
  }
  return undefined;
}

/** Why the addresses that a peer sends from must not be trusted; undefined if they may. */
export function harmOfExtension({ localIps }: NodeExtension, rules: HarmRules): string | undefined {
  for (const address of localIps) {
    const fault = addressFault(address, rules);
    if (fault !== undefined) return `its local IP ${formatIp(address)} is ${fault}`;
  }
  return undefined;
}

function addressFault(address: Ip, { networks }: HarmRules): string | undefined {
  const kind = unusableKind(address);
  if (kind !== undefined) return `a ${kind} address`;
  return networks?.some(({ cidr }) => containsIp(cidr, address)) ? 'inside the pod network' : undefined;
}

/** What makes an address useless to peers; computed once for each of thousands. */
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
  { name: 'reserved', range: range('240.0.0.0', 4) },
  { name: 'this-network', range: range('0.0.0.0', 8) },
  { name: 'loopback', range: range('::1', 128) },
  { name: 'unspecified', range: range('::', 128) },
  { name: 'IPv4-mapped', range: range('::ffff:0:0', 96) },
  { name: 'link-local', range: range('fe80::', 10) },
  { name: 'multicast', range: range('ff00::', 8) },
];
