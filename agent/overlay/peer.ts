/** The attributes of another node that the overlay needs, in one address family. */
import type { Cidr } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';

export interface Peer {
  /** The lease's key: what logs and status call the peer by where it has no name. */
  readonly key: string;
  /** The node's name, where the peer announces one (a flannel node does not). */
  readonly name: string | undefined;
  /** The subnet its pods live in. */
  readonly subnet: Cidr;
  /** The underlay address that its tunnel ends at. */
  readonly endpoint: Ip;
  /** Where its tunnel packets may come from besides: its own address behind a NAT. */
  readonly sources?: readonly Ip[];
  /** The MAC of its VXLAN device; undefined for a node that only routes (host-gw). */
  readonly vtepMac: string | undefined;
}

/** How packets for a peer leave this node: through the tunnel, or straight to the peer on the same link. */
export type Way = 'vxlan' | 'direct';

/** A peer, and how its packets travel. */
export interface PeerPlan {
  readonly peer: Peer;
  readonly way: Way;
  /** The way is chosen by probing: the other one is kept ready, and the direct one can be probed. */
  readonly probed: boolean;
  /** The largest packet that the path to the peer takes, where it is less than the link's. */
  readonly mtuBytes: number | undefined;
}
