/** What a lease is to the rest of the agent: one node's subnet, and how its peers reach it. */
import type { Cidr } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';
import type { NodeExtension } from './extension.ts';

export interface Lease {
  /** flannel's name for it, `10.244.1.0-24` or `10.12.13.0-24&fd00:12:13::-56`: unique in the cluster. */
  readonly key: string;
  /** One per family of the cluster's network, IPv4 first. */
  readonly subnets: readonly Cidr[];
  /** The node's addresses on the underlay, at most one per family, IPv4 first. */
  readonly publicIps: readonly Ip[];
  readonly backend: LeaseBackend;
  /** Known of weft's nodes only: flannel's records have no place for it. */
  readonly nodeName?: string;
  /** Known of weft's nodes only, and not of those of 0.1.0. */
  readonly extension?: NodeExtension;
}

export interface LeaseBackend {
  /** flannel's names: `vxlan`, `host-gw`, or one that weft does not speak (`wireguard`). */
  readonly type: string;
  readonly vni?: number;
  /** MAC of the peer's VXLAN device for its IPv4 subnet. */
  readonly vtepMac?: string;
  /** MAC of the peer's VXLAN device for its IPv6 subnet. */
  readonly vtepMac6?: string;
}

/** What a node tells its peers about itself, and may change while it holds its subnet. */
export interface LeaseAttributes {
  readonly publicIps: readonly Ip[];
  readonly backend: LeaseBackend;
  /** What flannel's record has no place for. */
  readonly extension?: NodeExtension;
}

export interface Peers {
  /** By key; never our own. */
  readonly leases: ReadonlyMap<string, Lease>;
  /** A whole list at a known revision has been seen: whatever is not in `leases` is gone. */
  readonly complete: boolean;
  /** Records that are left out or doubtful, with the reason; for status and logs. */
  readonly problems: readonly PeerProblem[];
}

export interface PeerProblem {
  /** The record's key under the prefix. */
  readonly key: string;
  /** What is wrong and what to do, in one line. */
  readonly reason: string;
}

/** The cluster's network in one family, and how much of it a node gets. */
export interface LeaseNetwork {
  readonly cidr: Cidr;
  /** Prefix length of a node's subnet, in bits. */
  readonly subnetLength: number;
}
