/** The bridge that a network's pods share: made if it is not there, else seen to be usable as it is. */
import { containsIp, formatInterfaceAddress, type InterfaceAddress, networkOf } from '../../inet/cidr.ts';
import { type Family, formatIp, sameIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { acceptRa, linksToKeepAdvertised } from '../../kernel/advertised-routes.ts';
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as newLink from '../../kernel/new-link.ts';
import { ensureSysctl, readSysctl } from '../../kernel/sysctl.ts';
import { CniError } from '../errors.ts';
import { bridgeMac } from './names.ts';

export interface BridgeWish {
  readonly name: string;
  readonly mtuBytes: number | undefined;
  readonly promiscuous: boolean;
  /** The bridge's own addresses: the gateways of the pods on it. */
  readonly addresses: readonly InterfaceAddress[];
  /** Other addresses that contradict these are taken away instead of refused. */
  readonly forceAddress: boolean;
}

export interface EnsuredBridge {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
  readonly mtuBytes: number;
  /** Those that were wished for. */
  readonly addresses: readonly InterfaceAddress[];
  /** What keeps it so from one pod to the next: harmless and cheap if it is so already (EEXIST). */
  readonly refresh: readonly NetlinkRequest[];
}

/** What was seen of a bridge holds for wishes with the same key. */
export const bridgeKey = (wish: BridgeWish): string =>
  [wish.name, wish.mtuBytes, wish.promiscuous, ...wish.addresses.map(formatInterfaceAddress)].join(' ');

/**
 * @throws CniError bridge-conflict where a link of that name is no bridge, or has addresses that contradict
 *   the wish's.
 */
export function ensureBridge(rtnl: Rtnl, wish: BridgeWish): EnsuredBridge {
  const { index, mac, mtuBytes } = ensureLink(rtnl, wish);
  ensureAddresses(rtnl, index, wish);
  for (const family of familiesIn(wish.addresses)) ensureForwarding(rtnl, family);
  // A router does not take its own routes from what passes by (linux, Documentation/networking/ip-sysctl).
  ensureSysctl(`net/ipv6/conf/${wish.name}/accept_ra`, '0');
  const refresh = [
    link.set({ index, up: true }),
    ...wish.addresses.map((each) => address.add({ ...each, index, noDad: true })),
  ];
  return { name: wish.name, index, mac, mtuBytes, addresses: wish.addresses, refresh };
}

function ensureLink(rtnl: Rtnl, wish: BridgeWish): Pick<EnsuredBridge, 'index' | 'mac' | 'mtuBytes'> {
  const found = link.linkByName(rtnl, wish.name) ?? createLink(rtnl, wish);
  if (found.kind !== 'bridge') {
    throw new CniError(
      'bridge-conflict',
      `${JSON.stringify(wish.name)} already exists but is not a bridge`,
      `it is ${found.kind ? `a ${found.kind} link` : 'a network card'}: rename it, or give the network another bridge`,
    );
  }
  const mac = found.mac ?? bridgeMac(wish.name, []);
  const change = {
    ...(wish.mtuBytes !== undefined && wish.mtuBytes !== found.mtuBytes ? { mtuBytes: wish.mtuBytes } : {}),
    ...(wish.promiscuous && !found.promiscuous ? { promiscuous: true } : {}),
  };
  // Its MAC is set to itself: a bridge whose MAC nobody set takes that of its lowest port, and changes it
  // with the pods.
  rtnl.execute([link.set({ index: found.index, up: true, mac, ...change })]);
  return { index: found.index, mac, mtuBytes: change.mtuBytes ?? found.mtuBytes };
}

function createLink(rtnl: Rtnl, wish: BridgeWish): link.Link {
  const mac = bridgeMac(
    wish.name,
    wish.addresses.map(({ address }) => formatIp(address)),
  );
  // Its MTU is set afterwards: one given at creation does not keep it from following its ports'.
  const [refusal] = rtnl.attempt([newLink.bridge({ name: wish.name, mac })]);
  // Of two first pods at once, one finds it made by the other.
  if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
  // Before it is up: a router asks for pods' MACs from its link-local address, which it could not use for
  // seconds while it looked for another that has it.
  ensureSysctl(`net/ipv6/conf/${wish.name}/accept_dad`, '0');
  const made = link.linkByName(rtnl, wish.name);
  if (!made) throw new CniError('bridge-conflict', `bridge ${wish.name} vanished while it was being set up`);
  return made;
}

function ensureAddresses(rtnl: Rtnl, index: number, wish: BridgeWish): void {
  if (wish.addresses.length === 0) return;
  const present = address
    .addresses(rtnl, { index })
    .filter(({ scope }) => scope === address.RT_SCOPE_UNIVERSE);
  const contradicting = present.filter((each) => contradicts(each, wish.addresses));
  if (contradicting.length > 0 && !wish.forceAddress) {
    throw new CniError(
      'bridge-conflict',
      `${JSON.stringify(wish.name)} already has an IP address different from ${wish.addresses.map(formatInterfaceAddress).join(', ')}`,
      `it has ${contradicting.map(formatInterfaceAddress).join(', ')}: once no pod uses it any more, ` +
        `"ip address del ADDRESS dev ${wish.name}" removes it; or set forceAddress`,
    );
  }
  if (contradicting.length > 0) rtnl.execute(contradicting.map((each) => address.remove({ ...each, index })));
  const refusals = rtnl.attempt(wish.addresses.map((each) => address.add({ ...each, index, noDad: true })));
  for (const refusal of refusals) if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
}

/**
 * The reference bridge plugin's rule (`ensureAddr`): a bridge has one IPv4 subnet's gateways; IPv6 subnets may
 * coexist unless they overlap.
 */
export function contradicts(present: InterfaceAddress, wanted: readonly InterfaceAddress[]): boolean {
  const family = present.address.family;
  const ours = wanted.filter(({ address }) => address.family === family);
  if (ours.some((each) => sameIp(each.address, present.address) && each.length === present.length))
    return false;
  if (family === 'ipv4') return ours.length > 0;
  const network = networkOf(present.address, present.length);
  return ours.some(
    (each) =>
      containsIp(network, each.address) || containsIp(networkOf(each.address, each.length), present.address),
  );
}

function ensureForwarding(rtnl: Rtnl, family: Family): void {
  const key = family === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
  if (readSysctl(key) === '1') return;
  if (family === 'ipv6') for (const link of linksToKeepAdvertised(rtnl)) ensureSysctl(acceptRa(link), '2');
  ensureSysctl(key, '1');
}

const familiesIn = (addresses: readonly InterfaceAddress[]): Family[] => [
  ...new Set(addresses.map(({ address }) => address.family)),
];
