/**
 * Whether pods' IPv6 packets can be routed straight to a neighbour: for what it forwards, the kernel asks for a
 * neighbour's MAC from the link's link-local address and from no other (net/ipv6/ndisc.c, ndisc_send_ns). While
 * duplicate detection of that address goes on, and where there is none, it asks nobody, and the packets wait for a
 * second or are lost.
 */
import { addresses, RT_SCOPE_LINK } from '../../kernel/address.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';

export interface Hindrance {
  readonly text: string;
  /** It passes by itself. */
  readonly passes: boolean;
}

/** A link that comes up is given its address up to a second later (the kernel's linkwatch). */
const APPEARS_MS = 3000;

export class Soliciting {
  #missingSinceMs: number | undefined;

  /** What keeps the kernel from asking on that link; undefined where it can. */
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
        text: `another host has ${link.name}'s link-local address, and without one of its own this node finds no IPv6 neighbour for its pods: give one of the two another MAC`,
        passes: false,
      };
    }
    this.#missingSinceMs ??= performance.now();
    return {
      text: `${link.name} has no link-local address, and without one this node finds no IPv6 neighbour for its pods: see net.ipv6.conf.${link.name}.addr_gen_mode`,
      passes: performance.now() - this.#missingSinceMs < APPEARS_MS,
    };
  }
}
