/**
 * What ADD made, in the newest shape of the specification (1.1.0, section 5 "Success"). Inside weft there
 * is only this shape; older ones exist on the wire, see `result-encode.ts` and `result-decode.ts`.
 */
import type { Cidr, InterfaceAddress } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';

export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
  readonly dns?: CniDns | undefined;
}

export interface CniInterface {
  readonly name: string;
  readonly mac?: string | undefined;
  /** Since 1.1.0; dropped for older versions. */
  readonly mtu?: number | undefined;
  /** The literal CNI_NETNS of the call; undefined for an interface of the host. */
  readonly sandbox?: string | undefined;
  readonly socketPath?: string | undefined;
  readonly pciId?: string | undefined;
}

export interface CniAddress {
  /** The address with the length of its subnet: `10.244.1.5/24`. */
  readonly address: InterfaceAddress;
  readonly gateway?: Ip | undefined;
  /** Index into `interfaces`. */
  readonly interface?: number | undefined;
}

export interface CniRoute {
  readonly dst: Cidr;
  /** Next hop; undefined: the address's gateway, or on link. */
  readonly gw?: Ip | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
}

export interface CniDns {
  readonly nameservers: readonly string[];
  readonly domain?: string | undefined;
  readonly search: readonly string[];
  readonly options: readonly string[];
}
