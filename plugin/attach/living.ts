/**
 * Who has which address by what the kernel shows, for when the allocations on disk are lost (somebody removed runDir):
 * the host's ends of a network's pods say by their alias whose they are, and their peers have the addresses.
 */
import type { Ip } from '../../inet/ip.ts';
import { addresses, RT_SCOPE_UNIVERSE } from '../../kernel/address.ts';
import { links } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Owner } from '../ipam/record.ts';
import { aliasPrefix } from './names.ts';

export interface LivingAddress {
  readonly address: Ip;
  /** The container id is shortened where an alias has no room for it. */
  readonly owner: Owner;
}

export function livingAddresses(rtnl: Rtnl, network: string): LivingAddress[] {
  const prefix = aliasPrefix(network);
  return links(rtnl).flatMap(({ alias, parent, linkNetnsid }) => {
    if (!alias?.startsWith(prefix) || parent === undefined || linkNetnsid === undefined) return [];
    const [containerId = '', ifname = ''] = alias.slice(prefix.length).split('/');
    return addresses(rtnl, { index: parent, netnsid: linkNetnsid })
      .filter(({ index, scope }) => index === parent && scope === RT_SCOPE_UNIVERSE)
      .map(({ address }) => ({ address, owner: { containerId, ifname } }));
  });
}
