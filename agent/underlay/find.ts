/** From one way of naming the underlay to the links it means, or why it means none. */
import { type Cidr, containsCidr, containsIp, formatCidr, networkOf } from '../../inet/cidr.ts';
import { formatIp, type Ip } from '../../inet/ip.ts';
import type { ClusterNetwork, UnderlayChoice } from '../config/config.ts';
import {
  byPreference,
  type FactLink,
  type FactRoute,
  isTellable,
  linkOf,
  ownAddress,
  routeTo,
  type UnderlayFacts,
} from './facts.ts';
import { whatThereIs } from './remedy.ts';
import { userNatNetworks } from './user-nat.ts';

/** A link that a choice led to. */
export interface Candidate {
  readonly link: FactLink;
  /** The address that led here, or that the kernel would send from. */
  readonly preferred?: Ip | undefined;
  /** The configuration names that very address. */
  readonly explicit?: boolean;
  /** The configuration names a network that the address of its family lies in. */
  readonly within?: Cidr;
  /** The configuration names this very link. */
  readonly named: boolean;
}

export interface Ask {
  readonly networks: readonly ClusterNetwork[];
  readonly publicIps: readonly Ip[];
  /** Where the store is; empty for a store of this machine's. */
  readonly storeAddresses: readonly Ip[];
  readonly storeProblem?: string | undefined;
  readonly known?: readonly Ip[];
  readonly stays?: boolean;
  readonly facts: UnderlayFacts;
}

/** The links that a choice leads to, best first; or why there is none, with the remedy. */
export function candidatesOf(choice: UnderlayChoice, ask: Ask): Candidate[] | string {
  switch (choice.kind) {
    case 'interface':
      return byName(choice.name, ask);
    case 'address': {
      const { address } = choice;
      const link = linkOf(ask.facts, ownAddress(ask.facts, address)?.index);
      return link
        ? [{ link, preferred: address, explicit: true, named: true }]
        : `no interface has the address ${formatIp(address)}; ${whatThereIs(ask)}`;
    }
    case 'network': {
      const { network } = choice;
      const isPods = (address: Ip) => ask.networks.some(({ cidr }) => containsIp(cidr, address));
      const named = userNatNetworks.some((nat) => containsCidr(nat, network));
      const own = ask.facts.addresses.filter(
        (each) => containsIp(network, each.address) && isTellable(each) && !isPods(each.address),
      );
      const links = new Set([...inUse(ask).map(({ link }) => link.index), ...own.map(({ index }) => index)]);
      const found = [...links]
        .filter((index) => own.some((each) => each.index === index))
        .flatMap((index) => candidateAt(ask.facts, index, { within: network, named }));
      return found.length > 0
        ? found
        : `no interface has an address in ${formatCidr(network)}; ${whatThereIs(ask)}`;
    }
    case 'reach':
      return byRoute(choice.address, ask);
    case 'auto':
      return automatic(ask);
  }
}

function byName(name: string, ask: Ask): Candidate[] | string {
  const link = ask.facts.links.find((candidate) => candidate.name === name);
  return link ? [{ link, named: true }] : `there is no interface ${name}; ${whatThereIs(ask)}`;
}

function byRoute(address: Ip, ask: Ask): Candidate[] | string {
  const { facts } = ask;
  const text = formatIp(address);
  if (isHere(facts, address)) {
    return `${text} is this host's own address; name another node's, or write underlay: ${text}`;
  }
  const route = routeTo(facts, address);
  const found = route ? candidatesBy([route], facts) : [];
  return found.length > 0 ? found : `there is no route to ${text}; ${whatThereIs(ask)}`;
}

/**
 * The interface that has the public address; else the one in use; else the one towards the store, or the one that has
 * the store's address; else the default route's.
 */
function automatic(ask: Ask): Candidate[] | string {
  const { facts, publicIps } = ask;
  for (const address of publicIps) {
    const own = ownAddress(facts, address);
    if (own) return candidateAt(facts, own.index, { preferred: address, explicit: true, named: false });
  }
  const used = inUse(ask);
  const routed = byRoutes(ask);
  if (typeof routed === 'string') return used.length > 0 ? used : routed;
  return ask.stays ? [...used, ...routed] : routed;
}

/** The links that have the known addresses. */
const inUse = ({ known = [], facts }: Ask): Candidate[] =>
  known.flatMap((address) => {
    const own = ownAddress(facts, address);
    const usable = own && isTellable(own) && linkOf(facts, own.index)?.up;
    return usable ? candidateAt(facts, own.index, { preferred: address, named: false }) : [];
  });

function byRoutes(ask: Ask): Candidate[] | string {
  const { networks, facts, storeAddresses, storeProblem } = ask;
  if (storeProblem !== undefined) return `auto goes by the route to the store, and ${storeProblem}`;
  const remote = storeAddresses.filter((address) => !isHere(facts, address));
  if (remote.length > 0) {
    const towards = remote.flatMap((address) => routeTo(facts, address) ?? []);
    const found = candidatesBy(towards, facts);
    return found.length > 0
      ? found
      : `there is no route to the store at ${remote.map(formatIp).join(', ')}; ${whatThereIs(ask)}`;
  }
  const here = storeAddresses.flatMap((address) => {
    const own = ownAddress(facts, address);
    return own && linkOf(facts, own.index)?.loopback === false
      ? candidateAt(facts, own.index, { preferred: address, named: false })
      : [];
  });
  if (here.length > 0) return here;
  const defaults = networks.flatMap(({ cidr: { family } }) =>
    byPreference(
      facts.routes.filter(({ destination }) => destination.length === 0 && destination.family === family),
    ),
  );
  const found = candidatesBy(defaults, facts);
  return found.length > 0
    ? found
    : `there is no default route by one interface, so name the underlay; ${whatThereIs(ask)}`;
}

const isHere = (facts: UnderlayFacts, address: Ip): boolean =>
  ownAddress(facts, address) !== undefined ||
  facts.addresses.some(
    (own) =>
      linkOf(facts, own.index)?.loopback === true && containsIp(networkOf(own.address, own.length), address),
  );

const candidatesBy = (found: readonly FactRoute[], facts: UnderlayFacts): Candidate[] =>
  found.flatMap(({ index, source }) => candidateAt(facts, index, { preferred: source, named: false }));

function candidateAt(
  facts: UnderlayFacts,
  index: number | undefined,
  rest: Omit<Candidate, 'link'>,
): Candidate[] {
  const link = linkOf(facts, index);
  return link ? [{ link, ...rest }] : [];
}
