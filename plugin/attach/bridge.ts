/** The bridge that a network's pods share: created if it does not exist, otherwise checked with each ADD. */
import {
  containsIp,
  formatInterfaceAddress,
  type InterfaceAddress,
  networkOf,
  sameInterfaceAddress,
} from '../../inet/cidr.ts';
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
import { BRIDGE_ALIAS, bridgeMac } from './names.ts';

export interface BridgeWish {
  readonly name: string;
  readonly mtuBytes: number | undefined;
  readonly promiscuous: boolean;
  /** The bridge's own addresses: the gateways of the pods on it. */
  readonly addresses: readonly InterfaceAddress[];
  /** Other addresses that contradict these are removed instead of refused. */
  readonly forceAddress: boolean;
  /** The pods' subnet is this node's lease, so that the bridge of that name is weft's, also if another program created it. */
  readonly leased: boolean;
}

export interface EnsuredBridge {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
  readonly mtuBytes: number;
  /** Those that were wished for. */
  readonly addresses: readonly InterfaceAddress[];
  /** Goes before the request for the pair: ENODEV where the bridge has been removed meanwhile. */
  readonly refresh: NetlinkRequest;
  /** Goes after it: what an operator's bridge would otherwise take from its new port. */
  readonly keep: readonly NetlinkRequest[];
}

/**
 * Changes only what differs. Of a bridge that is neither weft's nor adopted (BRIDGE_ALIAS) the MTU and the settings
 * are the operator's.
 *
 * @throws CniError bridge-conflict where a link of that name is no bridge, or has addresses that contradict
 *   the wish's.
 */
export function ensureBridge(rtnl: Rtnl, wish: BridgeWish): EnsuredBridge {
  const { index, mac, mtuBytes, own } = ensureLink(rtnl, wish);
  ensureAddresses(rtnl, index, wish);
  for (const family of familiesIn(wish.addresses)) ensureForwarding(rtnl, family);
  // A router does not take its own routes from what passes by (linux, Documentation/networking/ip-sysctl).
  if (own) ensureSysctl(`net/ipv6/conf/${wish.name}/accept_ra`, '0');
  // A bridge whose MAC nobody has set takes that of its lowest port: the operator's is set to what it is.
  const refresh = link.set({ index, up: true, ...(own ? {} : { mac }) });
  // Likewise the least MTU of its ports, until it is set to another than it has (net/bridge, br_mtu_auto_adjust).
  const keep = own ? [] : [link.set({ index, mtuBytes })];
  return { name: wish.name, index, mac, mtuBytes, addresses: wish.addresses, refresh, keep };
}

interface SeenBridge extends Pick<EnsuredBridge, 'index' | 'mac' | 'mtuBytes'> {
  readonly own: boolean;
}

function ensureLink(rtnl: Rtnl, wish: BridgeWish): SeenBridge {
  const found = link.linkByName(rtnl, wish.name) ?? createLink(rtnl, wish);
  if (found.kind !== 'bridge') {
    throw new CniError(
      'bridge-conflict',
      `${JSON.stringify(wish.name)} already exists but is not a bridge`,
      `it is ${found.kind ? `a ${found.kind} link` : 'a network card'}: rename it, or give the network another bridge`,
    );
  }
  const { index } = found;
  const mac = found.mac ?? bridgeMac(wish.name, []);
  const marked = found.alias === BRIDGE_ALIAS;
  const own = marked || wish.leased;
  const mtuBytes = own ? (wish.mtuBytes ?? found.mtuBytes) : found.mtuBytes;
  const change = {
    // With its MAC set once, an adopted bridge keeps it when ports come and go.
    ...(own && !marked ? { alias: BRIDGE_ALIAS, mac } : {}),
    ...(mtuBytes !== found.mtuBytes ? { mtuBytes } : {}),
    ...(wish.promiscuous && !found.promiscuous ? { promiscuous: true } : {}),
    ...(found.up ? {} : { up: true }),
  };
  if (Object.keys(change).length > 0) rtnl.execute([link.set({ index, ...change })]);
  return { index, mac, mtuBytes, own };
}

function createLink(rtnl: Rtnl, wish: BridgeWish): link.Link {
  const mac = bridgeMac(
    wish.name,
    wish.addresses.map(({ address }) => formatIp(address)),
  );
  const made = createBridge(rtnl, { name: wish.name, mac });
  if (!made) throw new CniError('bridge-conflict', `bridge ${wish.name} vanished while it was being set up`);
  return made;
}

/** A bridge of weft, still down; undefined where another program removed it at once. */
export function createBridge(
  rtnl: Rtnl,
  { name, mac }: { name: string; mac: string },
): link.Link | undefined {
  const index = newLink.chooseIndex();
  // Its MTU is set afterwards: one given at creation does not keep it from following its ports'.
  const [refusal] = rtnl.attempt([
    newLink.bridge({ name, mac, index }),
    link.set({ index, alias: BRIDGE_ALIAS }),
  ]);
  // Of two first pods at once, one finds it made by the other.
  if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
  // Before it is up: a router asks for pods' MACs from its link-local address, which it could not use for
  // seconds while it looked for another that has it.
  if (!refusal) ensureSysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
  return link.linkByName(rtnl, name);
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
  const missing = wish.addresses.filter(
    (each) => !present.some((other) => sameInterfaceAddress(each, other)),
  );
  if (missing.length === 0) return;
  const refusals = rtnl.attempt(missing.map((each) => address.add({ ...each, index, noDad: true })));
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
