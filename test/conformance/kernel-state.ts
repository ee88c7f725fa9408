/** What the kernel holds, as `ip`, `bridge` and `nft` print it: the parts that cases look at. */

export interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly operstate: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly promiscuity?: number;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_slave_data?: { readonly hairpin?: boolean; readonly isolated?: boolean };
  };
}

export interface Address {
  readonly family: 'inet' | 'inet6';
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
}

export interface Hop {
  readonly gateway?: string;
}

export interface Route extends Hop {
  readonly dst: string;
  readonly dev: string;
  readonly prefsrc?: string;
  readonly scope?: string;
  readonly metric?: number;
  readonly metrics?: readonly Readonly<Record<string, number>>[];
  /** In place of one gateway. */
  readonly nexthops?: readonly Hop[];
}

/** Text of `local/length` for every address that is not link-local. */
export const globalAddresses = (addresses: readonly Address[]): string[] =>
  addresses.filter((each) => each.scope === 'global').map((each) => `${each.local}/${each.prefixlen}`);

export const isBridge = (link: Link): boolean => link.linkinfo?.info_kind === 'bridge';

export const isVeth = (link: Link): boolean => link.linkinfo?.info_kind === 'veth';
