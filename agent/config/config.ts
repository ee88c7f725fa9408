/** What weft.yaml means: values, never text. Made by `loadConfig` only, and never changed afterwards. */
import type { Cidr } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';
import type { LogLevel } from '../../log/log.ts';

export interface Config {
  /** One per family, IPv4 first; at least one. */
  readonly networks: readonly ClusterNetwork[];
  readonly backend: BackendConfig;
  readonly store: StoreConfig;
  /** In the order in which they are tried. */
  readonly underlay: readonly UnderlayChoice[];
  /** What peers are told instead of the underlay's address; at most one per family. */
  readonly publicIps: readonly Ip[];
  readonly masquerade: MasqueradeConfig;
  /** What becomes of packets for subnets of the cluster network that no node leases. */
  readonly unleased: UnleasedConfig;
  /** How peers are asked whether they answer; undefined: they are not. */
  readonly probes: ProbesConfig | undefined;
  /** Where health is served; undefined where it is `off`. */
  readonly listen: Listen | undefined;
  /** `/metrics` is served on `listen` too. */
  readonly metrics: { readonly listen: Listen | undefined; readonly perPeer: boolean };
  readonly runDir: string;
  readonly stateDir: string;
  readonly log: { readonly level: LogLevel };
}

/** The network of the whole cluster in one family, and how much of it a node gets. */
export interface ClusterNetwork {
  readonly cidr: Cidr;
  /** Prefix length in bits of a node's subnet. */
  readonly subnetLength: number;
}

export interface BackendConfig {
  readonly type: BackendType;
  readonly vni: number;
  /** UDP port of VXLAN. */
  readonly port: number;
  /** MTU of pods and of the VXLAN device in bytes; `auto`: what the underlay leaves. */
  readonly mtu: number | 'auto';
}

/** The one that the relay knows: it reads no configuration. */
export const defaultRunDir = '/run/weft';

export const backendTypes = ['vxlan', 'direct', 'auto'] as const;
export type BackendType = (typeof backendTypes)[number];

export type StoreConfig = RecordStoreConfig | KubernetesStoreConfig;

/** A store of records, in which nodes claim their subnets. */
export type RecordStoreConfig = FileStoreConfig | EtcdStoreConfig;

export interface FileStoreConfig {
  readonly type: 'file';
  readonly path: string;
}

/** The controller manager gives a Node its subnets; peers are the other Nodes. */
export interface KubernetesStoreConfig {
  readonly type: 'kubernetes';
  /** Undefined: the pod's service account. */
  readonly kubeconfig: string | undefined;
  /** Undefined: the host's name. NODE_NAME comes before both. */
  readonly nodeName: string | undefined;
  /** `flannel.alpha.coreos.com` */
  readonly annotationPrefix: string;
}

export interface EtcdStoreConfig {
  readonly type: 'etcd';
  /** At least one; all secure or none. */
  readonly endpoints: readonly EtcdEndpoint[];
  /** `/coreos.com/network`: no slash at the end. */
  readonly prefix: string;
  readonly tls: EtcdTls | undefined;
  /** Without a file the password is in the environment. */
  readonly login: { readonly username: string; readonly passwordFile: string | undefined } | undefined;
  /** How long a lease outlives its node's last renewal. */
  readonly leaseTtlSeconds: number;
  /** How long a peer whose lease has ended is still reached, unless its subnet was given back. */
  readonly peerGraceSeconds: number;
}

export interface EtcdEndpoint {
  /** TLS: the URL was `https:`. */
  readonly secure: boolean;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Given exactly where the endpoints are secure. */
export interface EtcdTls {
  /** Undefined: the system's authorities. */
  readonly caFile: string | undefined;
  readonly client: { readonly certFile: string; readonly keyFile: string } | undefined;
}

export type UnderlayChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'address'; readonly address: Ip }
  | { readonly kind: 'network'; readonly network: Cidr }
  /** The interface by which that address is reached. */
  | { readonly kind: 'reach'; readonly address: Ip };

/** `unreachable`: the sender is told; `blackhole`: it is not; `pass`: they leave by the host's other routes. */
export const unleasedModes = ['unreachable', 'blackhole', 'pass'] as const;
export type UnleasedConfig = (typeof unleasedModes)[number];

export interface MasqueradeConfig {
  readonly enabled: boolean;
  /** Destinations that see pods' own addresses, besides the cluster's network. */
  readonly except: readonly Cidr[];
}

/** With the meaning that Kubernetes' probes have (pod v1, Probe). */
export interface ProbesConfig {
  /** How often each peer is asked; less often in a cluster so large that it would be too many packets. */
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  /** So many failures in a row make a peer count as silent. */
  readonly failureThreshold: number;
  readonly successThreshold: number;
}

export interface Listen {
  readonly address: Ip;
  /** 0: whatever port is free. */
  readonly port: number;
}
