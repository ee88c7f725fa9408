/**
 * Which interface and addresses of this host peers are told. Pure: facts and wishes in, a choice or a reason out.
 *
 * The mistake to prevent is the address that every node has: flannel on Vagrant takes the default route's
 * interface, 10.0.2.15 everywhere, and no packet arrives.
 */
import { formatInterfaceAddress, type InterfaceAddress } from '../../inet/cidr.ts';
import { type Family, type Ip, sameIp } from '../../inet/ip.ts';
import type { LinkAddress } from '../../kernel/address.ts';
import type { ClusterNetwork, UnderlayChoice } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { describeLink, type FactLink, isOwnDevice, isTellable, type UnderlayFacts } from './facts.ts';
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
  /** What peers are told, one per family in the same order. */
  readonly publicIps: readonly Ip[];
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
  /** What peers know already: of addresses that are as good as each other, these stay. */
  readonly known?: readonly Ip[];
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
  const { link, named, preferred } = candidate;
  if (link.loopback) return `${link.name} reaches nobody but this host; ${remedy(wish)}`;
  if (isOwnDevice(link)) return `${link.name} is weft's own device; ${remedy(wish)}`;
  const nat = userNatOn(facts, link);
  if (nat !== undefined && !named) {
    return `${link.name} (${nat}) is VirtualBox's or qemu's user NAT, where every machine has the same address and none reaches another; ${remedy(wish)}`;
  }
  if (!link.up) return `${link.name} is down; put it up (ip link set ${link.name} up), or ${remedy(wish)}`;
  const addresses: LinkAddress[] = [];
  for (const family of families) {
    const address = bestAddress(facts, link, { family, preferred, known: wish.known ?? [] });
    if (!address) return whyNoAddress(wish, link, family);
    addresses.push(address);
  }
  refuseOverlap(link, addresses, wish.networks);
  return {
    name: link.name,
    index: link.index,
    mtuBytes: link.mtuBytes,
    addresses: addresses.map(({ address, length }) => ({ address, length })),
    publicIps: addresses.map(
      ({ address }) => wish.publicIps.find(({ family }) => family === address.family) ?? address,
    ),
    warnings: [
      ...(nat === undefined
        ? []
        : [
            `${link.name} (${nat}) looks like user NAT: peers reach this node only by a publicIP that is forwarded to it`,
          ]),
      ...overlapWarnings(facts, link, wish.networks),
    ],
  };
}

/** The wished-for address, else a lasting one before one that comes and goes, else the one that is known. */
function bestAddress(
  facts: UnderlayFacts,
  link: FactLink,
  wish: { family: Family; preferred: Ip | undefined; known: readonly Ip[] },
): LinkAddress | undefined {
  const { family, preferred, known } = wish;
  const rank = (own: LinkAddress): number =>
    (preferred && sameIp(own.address, preferred) ? 0 : 8) +
    (own.temporary ? 4 : 0) +
    (own.permanent ? 0 : 2) +
    (known.some((address) => sameIp(own.address, address)) ? 0 : 1);
  return facts.addresses
    .filter((own) => own.index === link.index && own.address.family === family && isTellable(own))
    .toSorted((a, b) => rank(a) - rank(b))[0];
}

const familyName = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

function whyNoAddress(wish: UnderlayWish, link: FactLink, family: Family): string {
  const { facts } = wish;
  const waiting = facts.addresses.find(
    (own) => own.index === link.index && own.address.family === family && own.tentative && own.scope === 0,
  );
  if (waiting)
    return `${link.name}'s address ${formatInterfaceAddress(waiting)} is not usable yet (duplicate detection)`;
  const field = family === 'ipv4' ? 'network' : 'network6';
  return `${describeLink(facts, link)} has no ${familyName[family]} address that others can reach, which ${field} needs; add one, or ${remedy(wish, family)}`;
}
