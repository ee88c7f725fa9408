/**
 * Which interface and addresses of this host are announced to peers. Pure: takes facts and wishes, returns a choice
 * or throws a reason.
 *
 * Two mistakes to prevent. The address that every node has: flannel on Vagrant takes the default route's interface,
 * 10.0.2.15 everywhere, and no packet arrives. And the address that moves: a floating one (keepalived, kube-vip) is on
 * one node now and on another a moment later.
 */
import { containsIp, formatInterfaceAddress, type InterfaceAddress } from '../../inet/cidr.ts';
import { type Family, type Ip, sameIp } from '../../inet/ip.ts';
import type { LinkAddress } from '../../kernel/address.ts';
import type { ClusterNetwork, UnderlayChoice } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import {
  describeLink,
  type FactLink,
  hasNetwork,
  isOwnDevice,
  isTellable,
  type UnderlayFacts,
} from './facts.ts';
import { type Candidate, candidatesOf } from './find.ts';
import { overlapWarnings, refuseOverlap } from './overlap.ts';
import { remedy } from './remedy.ts';
import { userNatOn } from './user-nat.ts';

export interface Underlay {
  readonly name: string;
  readonly index: number;
  readonly mtuBytes: number;
  /** One per family, in the order of the cluster's networks. */
  readonly addresses: readonly InterfaceAddress[];
  /** What packets to peers are sent from, one per family in the same order. */
  readonly sources: readonly Ip[];
  /** What is announced to peers, one per family in the same order. */
  readonly publicIps: readonly Ip[];
  /** Names of the links of default routes: what leaves for other networks. */
  readonly egress: readonly string[];
  /** What an operator should know although it stops nothing. */
  readonly warnings: readonly string[];
}

export interface UnderlayWish {
  /** Tried in order. */
  readonly choices: readonly UnderlayChoice[];
  readonly networks: readonly ClusterNetwork[];
  readonly publicIps: readonly Ip[];
  /** Where the store is; empty for a store of this machine's. */
  readonly storeAddresses: readonly Ip[];
  /** Why no address of the store is known, where its name is unresolved. */
  readonly storeProblem?: string | undefined;
  /** Addresses in use, the ones used longest first: of an interface's addresses these stay. */
  readonly known?: readonly Ip[];
  /** The same configuration chose the known addresses: with `underlay: auto` their interface stays, too. */
  readonly stays?: boolean;
  /** The living peer that has announced an address; undefined: none. */
  readonly inUse?: (address: Ip) => string | undefined;
  readonly facts: UnderlayFacts;
}

/**
 * Chooses the underlay.
 *
 * @throws AgentError `underlay` with the reason for each choice; `overlap` where the underlay lies in the
 *   cluster's network
 */
export function chooseUnderlay(wish: UnderlayWish): Underlay {
  const families = wish.networks.map(({ cidr }) => cidr.family);
  const refusals = new Set<string>();
  for (const choice of wish.choices) {
    const candidates = candidatesOf(choice, wish);
    if (typeof candidates === 'string') {
      refusals.add(candidates);
      continue;
    }
    for (const candidate of candidates) {
      const chosen = settle(candidate, wish, families);
      if (typeof chosen !== 'string') return chosen;
      refusals.add(chosen);
    }
  }
  throw new AgentError('underlay', `underlay: ${[...refusals].join('; ')}`);
}

/** Makes the candidate the underlay, or says why it cannot be. */
function settle(candidate: Candidate, wish: UnderlayWish, families: readonly Family[]): Underlay | string {
  const { facts } = wish;
  const { link, named } = candidate;
  if (link.loopback) return `${link.name} reaches only this host; ${remedy(wish)}`;
  if (isOwnDevice(link)) return `${link.name} is weft's own device; ${remedy(wish)}`;
  const nat = userNatOn(facts, link);
  if (nat !== undefined && !named) {
    return (
      `${link.name} (${nat}) is VirtualBox's or qemu's user NAT, where every machine has the same ` +
      `address and none reaches another; ${remedy(wish)}`
    );
  }
  if (!link.up) return `${link.name} is down; put it up (ip link set ${link.name} up), or ${remedy(wish)}`;
  const addresses: LinkAddress[] = [];
  for (const family of families) {
    const address = bestAddress(wish, candidate, family);
    if (!address) return whyNoAddress(wish, link, family);
    addresses.push(address);
  }
  refuseOverlap(link, addresses, wish.networks);
  return {
    name: link.name,
    index: link.index,
    mtuBytes: link.mtuBytes,
    addresses: addresses.map(({ address, length }) => ({ address, length })),
    sources: addresses.map(({ address }) => sourceOf(wish, address)),
    publicIps: addresses.map(
      ({ address }) => wish.publicIps.find(({ family }) => family === address.family) ?? address,
    ),
    egress: egressOf(facts),
    warnings: [
      ...(nat === undefined
        ? []
        : [
            `${link.name} (${nat}) looks like user NAT: peers reach this node only by a publicIP that ` +
              'is forwarded to it',
          ]),
      ...overlapWarnings(facts, link, wish.networks),
    ],
  };
}

/**
 * In this order: the address that the configuration names; a lasting one (no IPv6 privacy address); the one in use;
 * one with a longer network before a /32, which is often a floating address; a primary before a secondary one; one
 * without a lifetime; the one that the kernel would send from. Never one that a live peer has announced.
 */
function bestAddress(
  { facts, known = [], inUse }: UnderlayWish,
  { link, preferred, explicit, within }: Candidate,
  family: Family,
): LinkAddress | undefined {
  const isPreferred = ({ address }: LinkAddress) => preferred !== undefined && sameIp(address, preferred);
  const usedRank = ({ address }: LinkAddress) => {
    const at = known.findIndex((used) => sameIp(used, address));
    return at < 0 ? known.length : at;
  };
  const ranks: ((own: LinkAddress) => number)[] = [
    (own) => Number(!(explicit === true && isPreferred(own))),
    (own) => Number(own.temporary),
    usedRank,
    (own) => Number(!hasNetwork(own)),
    (own) => Number(own.secondary),
    (own) => Number(!own.permanent),
    (own) => Number(!isPreferred(own)),
  ];
  return facts.addresses
    .filter((own) => own.index === link.index && own.address.family === family && isTellable(own))
    .filter(({ address }) => within?.family !== family || containsIp(within, address))
    .filter(({ address }) => inUse?.(address) === undefined)
    .toSorted((a, b) => {
      for (const rank of ranks) if (rank(a) !== rank(b)) return rank(a) - rank(b);
      return 0;
    })[0];
}

/**
 * The source address of packets to peers: the announced address if an interface of this host has it, because peers
 * accept packets from announced addresses only; otherwise the chosen one.
 */
function sourceOf({ facts, publicIps }: UnderlayWish, chosen: Ip): Ip {
  const announced = publicIps.find(({ family }) => family === chosen.family);
  const own = facts.addresses.find(
    (each) => announced && isTellable(each) && sameIp(each.address, announced),
  );
  return own?.address ?? chosen;
}

const egressOf = ({ routes, links }: UnderlayFacts): string[] => {
  const indexes = new Set(
    routes.flatMap(({ destination, index }) =>
      destination.length === 0 && index !== undefined ? [index] : [],
    ),
  );
  return links.filter(({ index, loopback }) => indexes.has(index) && !loopback).map(({ name }) => name);
};

const familyName = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

function whyNoAddress(wish: UnderlayWish, link: FactLink, family: Family): string {
  const { facts } = wish;
  const waiting = facts.addresses.find(
    (own) => own.index === link.index && own.address.family === family && own.tentative && own.scope === 0,
  );
  if (waiting)
    return (
      `${link.name}'s address ${formatInterfaceAddress(waiting)} is not usable yet (duplicate ` +
      'address detection in progress)'
    );
  const taken = facts.addresses.find(
    (own) =>
      own.index === link.index &&
      own.address.family === family &&
      isTellable(own) &&
      wish.inUse?.(own.address) !== undefined,
  );
  if (taken) {
    return (
      `${link.name}'s address ${formatInterfaceAddress(taken)} is in use by the peer ` +
      `${wish.inUse?.(taken.address)}: remove it from one of the two nodes, or give this one another address`
    );
  }
  const field = family === 'ipv4' ? 'network' : 'network6';
  return (
    `${describeLink(facts, link)} has no ${familyName[family]} address that others can reach, ` +
    `which ${field} needs; add one, or ${remedy(wish, family)}`
  );
}
