/** What to write instead: an interface of this host that would do. */
import { formatCidr, networkOf } from '../../inet/cidr.ts';
import type { Family } from '../../inet/ip.ts';
import { hasNetwork, isOwnDevice, isTellable, linkOf, type UnderlayFacts } from './facts.ts';
import { userNatOn } from './user-nat.ts';

/** Hardware before what was made by software, such as Docker's bridge. */
export function remedy(facts: UnderlayFacts, family?: Family): string {
  for (const hardware of [true, false]) {
    for (const own of facts.addresses) {
      const link = linkOf(facts, own.index);
      if (!link?.up || link.loopback || isOwnDevice(link)) continue;
      if ((link.kind === undefined) !== hardware || !isTellable(own)) continue;
      if (userNatOn(facts, link) !== undefined || (family && own.address.family !== family)) continue;
      const text = hasNetwork(own) ? formatCidr(networkOf(own.address, own.length)) : link.name;
      return `name the network that the nodes share, for example underlay: ${text} (${link.name})`;
    }
  }
  return 'give this host an interface on a network that the nodes share';
}
