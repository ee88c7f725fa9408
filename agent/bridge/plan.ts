/** What has to be done to a bridge that pods hang on, as requests and in words. Pure. */
import { formatInterfaceAddress, type InterfaceAddress, sameInterfaceAddress } from '../../inet/cidr.ts';
import { linkLocalIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { type HeldMac, hold } from '../../kernel/fdb.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { BridgeWish } from './wish.ts';

export interface BridgeStep {
  /** What is there already (EEXIST) is as good. */
  readonly requests: readonly NetlinkRequest[];
  readonly text: string;
}

export interface ActualBridge {
  readonly bridge: Pick<link.Link, 'index' | 'up' | 'mac'>;
  readonly addresses: readonly InterfaceAddress[];
  /** Every link of the host; undefined where the ports are not looked at. */
  readonly links: readonly Pick<link.Link, 'index' | 'name' | 'master'>[] | undefined;
  /** MACs that the bridge holds to its ports; looked at with the links. */
  readonly held?: readonly HeldMac[] | undefined;
}

/** `mac`: the one that pods have resolved; undefined: any. */
export function planBridge(wish: BridgeWish, mac: string | undefined, actual: ActualBridge): BridgeStep[] {
  return [
    ...linkSteps(wish, mac, actual.bridge),
    ...addressSteps(wish, actual),
    ...portSteps(wish, actual),
    ...heldSteps(wish, actual),
  ];
}

function linkSteps(
  { name, addresses }: BridgeWish,
  wantedMac: string | undefined,
  { index, up, mac }: ActualBridge['bridge'],
): BridgeStep[] {
  const steps: BridgeStep[] = [];
  const known = wantedMac ?? mac;
  if (known !== undefined && known !== mac) {
    const requests = [link.set({ index, mac: known })];
    steps.push({ requests, text: `${name}: MAC ${mac} -> ${known}` });
  }
  if (!up) {
    const needsLinkLocal =
      known !== undefined && addresses.some((gateway) => gateway.address.family === 'ipv6');
    const requests = [link.set({ index, up: true }), ...(needsLinkLocal ? [linkLocal(index, known)] : [])];
    steps.push({ requests, text: `${name}: up` });
  }
  return steps;
}

/**
 * A bridge that comes up gets its link-local address up to a second later (the kernel's linkwatch), and asks for
 * no pod's MAC before (net/ipv6/ndisc.c, ndisc_send_ns).
 */
const linkLocal = (index: number, mac: string): NetlinkRequest =>
  address.add({ address: linkLocalIp(mac), length: 64, index, noDad: true });

const addressSteps = (
  { name, addresses }: BridgeWish,
  { bridge: { index }, addresses: present }: ActualBridge,
): BridgeStep[] =>
  addresses
    .filter((wanted) => !present.some((candidate) => sameInterfaceAddress(candidate, wanted)))
    .map((wanted) => ({
      requests: [address.add({ ...wanted, index, noDad: true })],
      text: `${name}: address ${formatInterfaceAddress(wanted)}`,
    }));

/** Pods' interfaces that are there and on no bridge. */
function portSteps({ name, ports }: BridgeWish, { bridge, links = [] }: ActualBridge): BridgeStep[] {
  const byIndex = new Map(links.map((each) => [each.index, each]));
  return ports.flatMap((port) => {
    const found = byIndex.get(port.index);
    if (!found || found.name !== port.name || found.master !== undefined) return [];
    const { index, hairpin, isolated, heldMac } = port;
    const requests = [
      link.set({ index, master: bridge.index, up: true }),
      link.setPort({ index, hairpin, isolated }),
      ...(heldMac === undefined ? [] : [hold({ port: index, mac: heldMac })]),
    ];
    return { requests, text: `${name}: ${port.name} on it` };
  });
}

/** Pods' interfaces on the bridge whose MAC it does not hold to them. */
function heldSteps(
  { name, ports }: BridgeWish,
  { bridge, links = [], held = [] }: ActualBridge,
): BridgeStep[] {
  const onBridge = new Set(links.filter(({ master }) => master === bridge.index).map(({ index }) => index));
  const isHeld = new Set(held.map(({ port, mac }) => `${port} ${mac}`));
  return ports.flatMap(({ name: port, index, heldMac }) => {
    if (heldMac === undefined || !onBridge.has(index) || isHeld.has(`${index} ${heldMac}`)) return [];
    return { requests: [hold({ port: index, mac: heldMac })], text: `${name}: ${heldMac} bound to ${port}` };
  });
}
