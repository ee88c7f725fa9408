/** A network's configuration as weft understands it: decoded, validated, defaults filled in. */
import type { Cidr } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';
import type { CniDns, CniRoute } from './result.ts';
import type { CniVersion } from './version.ts';

export interface NetworkConfig {
  readonly cniVersion: CniVersion;
  /** Name of the network: `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, of any length. */
  readonly name: string;
  readonly bridge: BridgeOptions;
  readonly addressing: Addressing;
  /** If defined it replaces what `addressing.resolvConf` would give. */
  readonly dns: CniDns | undefined;
  /** The MAC the container's end must have; undefined: any. */
  readonly mac: string | undefined;
  /** Capability `portMappings`. */
  readonly hostPorts: readonly PortMapping[];
  /** Capability `bandwidth`. */
  readonly bandwidth: Bandwidth;
  /** Capability `aliases`: names by which the pod wants to be known. */
  readonly aliases: readonly string[];
  /** Capability `cgroupPath`. */
  readonly cgroupPath: string | undefined;
  /** Capability `io.kubernetes.cri.pod-annotations`. */
  readonly podAnnotations: Readonly<Record<string, string>>;
}

/** The reference bridge plugin's options, with its names, defaults and meanings. */
export interface BridgeOptions {
  /** The bridge's name, `cni0` by default. */
  readonly bridge: string;
  /** The bridge carries each range's gateway address. Default: true with a leased subnet, else false. */
  readonly isGateway: boolean;
  /** The pod's default route leads to the gateway; implies `isGateway`. Default as `isGateway`'s. */
  readonly isDefaultGateway: boolean;
  /** A foreign address on the bridge is replaced instead of refused. */
  readonly forceAddress: boolean;
  /** What leaves the network is masqueraded. */
  readonly ipMasq: boolean;
  /** Undefined: the subnet file's for a leased subnet, else the kernel's default. */
  readonly mtuBytes: number | undefined;
  /** Never together with `promiscMode`. Default: true with a leased subnet, else false. */
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  /** The pod sends from its own MAC only. */
  readonly macspoofchk: boolean;
  /** The bridge forwards the pod's MAC to its port only. Default: true with a leased subnet, else as `macspoofchk`. */
  readonly holdsMac: boolean;
  /** The pod sends from its own addresses only. Not in the reference. */
  readonly ipspoofchk: boolean;
  readonly portIsolation: boolean;
  /** IPv6 duplicate address detection in the pod. */
  readonly enabledad: boolean;
  /** The container's end stays down; only with `addressing.kind` `none`. */
  readonly disableContainerInterface: boolean;
}

/**
 * Where addresses come from: no `ipam` in the configuration (or its type `weft`) means this node's leased
 * subnet; type `host-local` the ranges it lists; an empty `ipam` none at all (layer 2).
 */
export type Addressing =
  | { readonly kind: 'none' }
  | (AddressingOptions & { readonly kind: 'lease' })
  | (AddressingOptions & {
      readonly kind: 'ranges';
      /** One address is taken from each set. Sets do not overlap; a set has one family. */
      readonly sets: readonly RangeSet[];
    });

export interface AddressingOptions {
  readonly routes: readonly CniRoute[];
  /** Path of a resolv.conf whose content becomes the result's dns. */
  readonly resolvConf: string | undefined;
  /** host-local's directory (`dataDir`), whose allocations are read when a node migrates. */
  readonly hostLocalDir: string;
  /** Addresses asked for (capability `ips`, `args.cni.ips`, CNI_ARGS `IP`): each must be given, or ADD fails. */
  readonly requested: readonly Ip[];
}

export type RangeSet = readonly AddressRange[];

/** Addresses of one subnet that may be given to pods: `start` to `end`, both inclusive, never the gateway. */
export interface AddressRange {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  readonly gateway: Ip;
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** The node address it is bound to; undefined: all. `0.0.0.0` and `::` mean all of that family. */
  readonly hostIp: Ip | undefined;
}

/** Shaping seen from the pod: `ingress` is what it receives, `egress` what it sends. */
export interface Bandwidth {
  readonly ingress: Rate | undefined;
  readonly egress: Rate | undefined;
}

export interface Rate {
  readonly bitsPerSecond: number;
  /** As asked for, uncapped: containerd always asks for 4294967295. */
  readonly burstBits: number;
}
