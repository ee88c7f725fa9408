/**
 * Whether pods' IPv6 packets can be routed to a neighbour directly. For packets that it forwards, the kernel sends
 * neighbour solicitations only from the link's link-local address (net/ipv6/ndisc.c, ndisc_send_ns). Without such an
 * address, or during its duplicate address detection, it sends none, and packets are delayed by a second or lost.
 */
import { addresses, RT_SCOPE_LINK } from '../../kernel/address.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';

export interface Hindrance {
  readonly text: string;
  /** It passes by itself. */
  readonly passes: boolean;
}

/** A link gets its link-local address up to a second after it comes up (the kernel's linkwatch). */
const APPEARS_MS = 3000;

export class Soliciting {
  #missingSinceMs: number | undefined;

  /** Why the kernel cannot send solicitations on that link; undefined where it can. */
  hindrance(rtnl: Rtnl, link: { readonly index: number; readonly name: string }): Hindrance | undefined {
    const own = addresses(rtnl, { index: link.index }).filter(
      ({ address, scope }) => address.family === 'ipv6' && scope === RT_SCOPE_LINK,
    );
    if (own.length > 0) this.#missingSinceMs = undefined;
    if (own.some(({ tentative, duplicate }) => !tentative && !duplicate)) return undefined;
    if (own.some(({ duplicate }) => !duplicate)) {
      return {
        text: `duplicate address detection of ${link.name}'s link-local address is in progress`,
        passes: true,
      };
    }
    if (own.length > 0) {
      return {
        text:
          `another host has ${link.name}'s link-local address, and without one of its own this node ` +
          'finds no IPv6 neighbour for its pods: give one of the two another MAC',
        passes: false,
      };
    }
    this.#missingSinceMs ??= performance.now();
    return {
      text:
        `${link.name} has no link-local address, and without one this node finds no IPv6 neighbour ` +
        `for its pods: see net.ipv6.conf.${link.name}.addr_gen_mode`,
      passes: performance.now() - this.#missingSinceMs < APPEARS_MS,
    };
  }
}
