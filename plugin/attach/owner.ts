/** How an element in a set says whose it is: `weft:NETWORK/HOST-INTERFACE`, the host's end of the pod's veth pair. */
import { digestOf } from '../../inet/digest.ts';

export interface Owner {
  readonly network: string;
  readonly host: { readonly name: string };
}

/** At most 127 bytes (NFTNL_UDATA_SET_ELEM_COMMENT), whatever the network is called. */
const NETWORK_BYTES = 96;

export const ownerOf = (pod: Owner): string => `${ownerPrefix(pod.network)}${pod.host.name}`;

/** What the comments of a network's elements begin with. */
export function ownerPrefix(network: string): string {
  if (network.length <= NETWORK_BYTES) return `weft:${network}/`;
  const digest = digestOf(network).toString('hex').slice(0, 16);
  return `weft:${network.slice(0, NETWORK_BYTES - 17)}~${digest}/`;
}
