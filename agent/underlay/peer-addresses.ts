/** Underlay addresses that live peers have announced: this node never announces them, even if the host has one now. */
import { formatIp, type Ip } from '../../inet/ip.ts';
import type { Peers } from '../lease/lease.ts';
import { isUnchanged } from '../reconcile/generation.ts';

export interface PeerAddressesOptions {
  readonly peers: () => Pick<Peers, 'leases'>;
  /** Whether the peer at that address does not answer. */
  readonly isSilent: (address: Ip) => boolean;
}

export class PeerAddresses {
  readonly #options: PeerAddressesOptions;
  #of: Peers['leases'] | undefined;
  #holders = new Map<string, string>();

  constructor(options: PeerAddressesOptions) {
    this.#options = options;
  }

  /** The name of the living peer that has announced the address; undefined: none has. */
  holderOf(address: Ip): string | undefined {
    const { leases } = this.#options.peers();
    if (!isUnchanged(this.#of, leases)) {
      this.#of = leases;
      this.#holders = new Map(
        [...leases.values()].flatMap(({ key, nodeName, publicIps }) =>
          publicIps.map((ip) => [formatIp(ip), nodeName ?? key] as const),
        ),
      );
    }
    const holder = this.#holders.get(formatIp(address));
    return holder === undefined || this.#options.isSilent(address) ? undefined : holder;
  }
}
