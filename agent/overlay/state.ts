/** The input of a pass, per family of the cluster network, computed from leases and configuration. */
import type { Cidr, InterfaceAddress } from '../../inet/cidr.ts';
import type { Family, Ip } from '../../inet/ip.ts';
import type { DeadEnd } from '../../kernel/route.ts';
import type { BackendType } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { Lease, Peers } from '../lease/lease.ts';
import type { Peer } from './peer.ts';

/** The interface that packets to peers leave by, in one family. */
export interface UnderlayLink {
  readonly index: number;
  readonly name: string;
  readonly address: InterfaceAddress;
  readonly mtuBytes: number;
  /** What packets to peers are sent from, where it is not `address`. */
  readonly source?: Ip | undefined;
}

/** What packets to peers are sent from. */
export const sourceOf = ({ source, address }: Pick<UnderlayLink, 'source' | 'address'>): Ip =>
  source ?? address.address;

/** What is known of one family, with an underlay or without. */
export interface FamilyState {
  /** The cluster network and this node's part of it. */
  readonly network: Cidr;
  readonly subnet: Cidr;
  /** Undefined where this host has had none since the agent started. */
  readonly underlay: UnderlayLink | undefined;
  readonly vtepMac: string;
  readonly backend: {
    /** `auto`: direct where the peer is on the same link and answers probes over it. */
    readonly type: BackendType;
    /** Type `direct`: keep the earlier tunnel, because peers send through it until they have the new record. */
    readonly tunnelStays?: boolean;
    readonly vni: number;
    readonly port: number;
    /** Undefined: what fits into the underlay. */
    readonly mtuBytes: number | undefined;
  };
  readonly peers: readonly Peer[];
  /** Keys of the peers that answer probes over the direct way (backend `auto`). */
  readonly answeringDirect: ReadonlySet<string>;
  /** The largest packet that reaches a peer, by key, where it is less than the pods' MTU. */
  readonly pathMtuBytes: ReadonlyMap<string, number>;
  /** Whether `peers` is complete: only then may entries and devices be removed. */
  readonly complete: boolean;
  /** What happens to packets for subnets without a lease; undefined: they follow other routes. */
  readonly unleased: DeadEnd | undefined;
}

/** The input of the overlay of one family. */
export interface OverlayState extends FamilyState {
  readonly underlay: UnderlayLink;
}

/** The input of all parts. */
export interface HostState {
  readonly families: readonly FamilyState[];
  /** Why there is no underlay, or not the one in use any more, with the remedy. */
  readonly underlayProblems: readonly string[];
}

export const hasUnderlay = (state: FamilyState): state is OverlayState => state.underlay !== undefined;

export const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

export interface Knowledge {
  /** The cluster's networks, one per family. */
  readonly networks: readonly Cidr[];
  readonly lease: Lease;
  /** Of this node's devices. The lease has them only while it announces a tunnel. */
  readonly vtepMacs: Readonly<Record<Family, string>>;
  readonly peers: Peers;
  readonly underlayOf: (family: Family) => UnderlayLink | undefined;
  readonly backend: FamilyState['backend'];
  readonly answeringDirect: (family: Family) => ReadonlySet<string>;
  readonly pathMtuBytes: (family: Family) => ReadonlyMap<string, number>;
  readonly unleased: DeadEnd | undefined;
}

export function familyStates(known: Knowledge): FamilyState[] {
  return known.networks.map((network) => {
    const { family } = network;
    return {
      network,
      subnet: subnetOf(known.lease, family),
      underlay: known.underlayOf(family),
      vtepMac: known.vtepMacs[family],
      backend: known.backend,
      peers: peersOf(known.peers, family),
      answeringDirect: known.answeringDirect(family),
      pathMtuBytes: known.pathMtuBytes(family),
      complete: known.peers.complete,
      unleased: known.unleased,
    };
  });
}

function subnetOf(lease: Lease, family: Family): Cidr {
  const subnet = lease.subnets.find((candidate) => candidate.family === family);
  if (subnet) return subnet;
  throw new AgentError(
    'state',
    `the lease ${lease.key} has no ${family} subnet: remove it and restart weftd`,
  );
}

/** Made of each lease and each set of leases once: the same object means unchanged (reconcile/generation.ts). */
const known = {
  ipv4: { peers: new WeakMap<Lease, Peer>(), lists: new WeakMap<Peers['leases'], readonly Peer[]>() },
  ipv6: { peers: new WeakMap<Lease, Peer>(), lists: new WeakMap<Peers['leases'], readonly Peer[]>() },
};

/** The peers that have a subnet of this family and an underlay address to reach it by. */
export function peersOf({ leases }: Pick<Peers, 'leases'>, family: Family): readonly Peer[] {
  const { peers, lists } = known[family];
  const list = lists.get(leases);
  if (list) return list;
  const found: Peer[] = [];
  for (const lease of leases.values()) {
    const peer = peers.get(lease) ?? peerOf(lease, family);
    if (!peer) continue;
    peers.set(lease, peer);
    found.push(peer);
  }
  // Frozen, since what is derived from it is kept for as long as its generation is the same.
  lists.set(leases, Object.freeze(found));
  return found;
}

function peerOf(lease: Lease, family: Family): Peer | undefined {
  const subnet = lease.subnets.find((candidate) => candidate.family === family);
  const endpoint = lease.publicIps.find((candidate) => candidate.family === family);
  if (!subnet || !endpoint) return undefined;
  const { key, nodeName, extension } = lease;
  const sources = extension?.localIps.filter((local) => local.family === endpoint.family) ?? [];
  const peer = { key, name: nodeName, subnet, endpoint, vtepMac: macOf(lease, family) };
  return sources.length ? { ...peer, sources } : peer;
}

const macOf = (lease: Lease, family: Family): string | undefined =>
  family === 'ipv4' ? lease.backend.vtepMac : lease.backend.vtepMac6;
