/** What the host's firewall is to do for the overlay: a function of the configuration and the leases. */
import type { Cidr } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';
import type { RuledPod } from '../../plugin/attach/pod-rules.ts';

export interface DesiredFirewall {
  /** One per family of the cluster's network. */
  readonly networks: readonly NodeNetwork[];
  /** Undefined: pods leave with their own addresses. */
  readonly masquerade: { readonly except: readonly Cidr[] } | undefined;
  /** Interfaces of the underlay by which pods' packets reach peers without a tunnel. */
  readonly direct: readonly string[];
  /** Undefined where no tunnel is in use. */
  readonly tunnel: Tunnel | undefined;
  /** Undefined as long as they are not known: then what they have in sets is left as it is. */
  readonly pods: Pods | undefined;
}

/** The pods of this node, as their attachments' records have them. */
export interface Pods {
  /** Those that ADD has finished: what they need is put back where it is missing. */
  readonly made: readonly RuledPod[];
  /** Host ends of every attachment on record, finished or not: what belongs to another is nobody's. */
  readonly interfaces: ReadonlySet<string>;
  /** Where pods are, each once; also of an ADD that is not finished. */
  readonly networks: readonly PodNetwork[];
}

/** A network of pods on a bridge: leased, or with ranges of its own. */
export interface PodNetwork {
  readonly bridge: string;
  readonly network: Cidr;
}

export interface NodeNetwork {
  /** The whole cluster's network. */
  readonly cluster: Cidr;
  /** This node's part of it. */
  readonly subnet: Cidr;
}

export interface Tunnel {
  /** UDP port of VXLAN. */
  readonly port: number;
  readonly vni: number;
  /**
   * Whom packets of the tunnel are accepted from: the peers' addresses on the underlay, of any family.
   * Undefined as long as they are not known: then nothing is guarded.
   */
  readonly peers: readonly Ip[] | undefined;
}
