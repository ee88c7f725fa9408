/** What to write instead: interfaces of this host that would do. Never the cluster's own, which carry the pods. */
import { formatCidr, networkOf } from '../../inet/cidr.ts';
import type { Family } from '../../inet/ip.ts';
import type { LinkAddress } from '../../kernel/address.ts';
import type { ClusterNetwork } from '../config/config.ts';
import {
  describeLink,
  type FactLink,
  hasNetwork,
  isOwnDevice,
  isTellable,
  linkOf,
  type UnderlayFacts,
} from './facts.ts';
import { meeting } from './overlap.ts';
import { userNatOn } from './user-nat.ts';

interface Ask {
  readonly facts: UnderlayFacts;
  readonly networks: readonly ClusterNetwork[];
}

/** Hardware before what was made by software, such as Docker's bridge. */
export function remedy(ask: Ask, family?: Family): string {
  const offers = offersOf(ask).filter(
    ({ link, own }) =>
      link.up &&
      userNatOn(ask.facts, link) === undefined &&
      (family === undefined || own.address.family === family),
  );
  const best = offers.find(({ link }) => link.kind === undefined) ?? offers[0];
  if (!best) return 'give this host an interface on a network that the nodes share';
  const { link, own } = best;
  const text = hasNetwork(own) ? formatCidr(networkOf(own.address, own.length)) : link.name;
  return `name the network that the nodes share, for example underlay: ${text} (${link.name})`;
}

/** `this host has eth0 (10.0.2.15/24), eth1 (192.168.188.101/24)`. */
export function whatThereIs(ask: Ask): string {
  const usable = new Set(offersOf(ask).map(({ link }) => link));
  return usable.size === 0
    ? 'this host has no interface with an address that others can reach: give it one'
    : `this host has ${[...usable].map((link) => describeLink(ask.facts, link)).join(', ')}`;
}

/** Addresses that others could reach, with their links. */
const offersOf = ({ facts, networks }: Ask): { link: FactLink; own: LinkAddress }[] =>
  facts.addresses.flatMap((own) => {
    const link = linkOf(facts, own.index);
    const others = link && !link.loopback && !isOwnDevice(link) && !meeting(own, networks);
    return others && isTellable(own) ? [{ link, own }] : [];
  });
