/**
 * The VXLAN device of one family: `weft.<VNI>`, or `weft-v6.<VNI>` (as flannel, weft has one per family).
 *
 * What cannot be changed on a device that exists (VNI, port, parent, local address, learning) makes it be
 * made anew; its MAC, MTU and state are set right in place.
 */
import { type Cidr, containsIp, firstIp } from '../../inet/cidr.ts';
import { bitsOf, type Family, formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { BackendType } from '../config/config.ts';
import { AgentError } from '../errors.ts';

export interface DesiredDevice {
  readonly name: string;
  readonly vni: number;
  /** UDP port. */
  readonly port: number;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly underlayIndex: number;
  readonly underlayAddress: Ip;
  /** This node's subnet; its network address is the device's. */
  readonly subnet: Cidr;
  /** The cluster network: foreign addresses out of it are taken off the device. */
  readonly network: Cidr;
}

export const deviceName = (family: Family, vni: number): string =>
  family === 'ipv4' ? `weft.${vni}` : `weft-v6.${vni}`;

/** Whether packets may come and go through a tunnel. `tunnelStays`: see `OverlayState`. */
export const hasTunnel = (backend: { readonly type: BackendType; readonly tunnelStays?: boolean }): boolean =>
  backend.type !== 'direct' || backend.tunnelStays === true;

/** What has to be done to a device; `why` in words. */
export type DeviceStep =
  | { readonly kind: 'create'; readonly why: string }
  | { readonly kind: 'recreate'; readonly index: number; readonly why: string }
  | {
      readonly kind: 'adjust';
      readonly index: number;
      readonly change: link.LinkChange;
      readonly why: string;
    }
  | {
      readonly kind: 'address';
      readonly index: number;
      readonly request: NetlinkRequest;
      readonly why: string;
    };

/** The steps from the actual device (undefined: there is none) to the desired one. Pure. */
export function planDevice(
  desired: DesiredDevice,
  actual: link.Link | undefined,
  addresses: readonly address.LinkAddress[],
): DeviceStep[] {
  if (!actual) return [{ kind: 'create', why: 'it is missing' }];
  const differs = unchangeable(desired, actual);
  if (differs) return [{ kind: 'recreate', index: actual.index, why: differs }];
  return [...adjustments(desired, actual), ...addressSteps(desired, actual.index, addresses)];
}

function unchangeable(desired: DesiredDevice, actual: link.Link): string | undefined {
  const has = actual.vxlan;
  if (!has) return `${actual.name} is a ${actual.kind ?? 'hardware'} link, not a vxlan device`;
  if (has.vni !== desired.vni) return `its VNI is ${has.vni}`;
  if (has.port !== desired.port) return `its UDP port is ${has.port}`;
  if (has.parent !== desired.underlayIndex) return `its underlay is link ${has.parent}`;
  if (!has.local || !sameIp(has.local, desired.underlayAddress)) {
    return `its local address is ${has.local ? formatIp(has.local) : 'unset'}`;
  }
  return has.learning ? 'it learns' : undefined;
}

function adjustments(desired: DesiredDevice, actual: link.Link): DeviceStep[] {
  const change: link.LinkChange = { index: actual.index };
  const why: string[] = [];
  if (actual.mac !== desired.mac) {
    change.mac = desired.mac;
    why.push(`its MAC was ${actual.mac}`);
  }
  if (actual.mtuBytes !== desired.mtuBytes) {
    change.mtuBytes = desired.mtuBytes;
    why.push(`its MTU was ${actual.mtuBytes}`);
  }
  if (!actual.up) {
    change.up = true;
    why.push('it was down');
  }
  return why.length ? [{ kind: 'adjust', index: actual.index, change, why: why.join(', ') }] : [];
}

function addressSteps(
  desired: DesiredDevice,
  index: number,
  addresses: readonly address.LinkAddress[],
): DeviceStep[] {
  const own = { address: firstIp(desired.subnet), length: bitsOf(desired.subnet.family) };
  const isOwn = (a: address.LinkAddress) => sameIp(a.address, own.address) && a.length === own.length;
  const ofFamily = addresses.filter((a) => a.index === index && a.address.family === desired.subnet.family);
  const steps: DeviceStep[] = ofFamily
    .filter((a) => containsIp(desired.network, a.address) && !isOwn(a))
    .map((a) => ({
      kind: 'address',
      index,
      request: address.remove({ ...a, index }),
      why: `it had the foreign address ${formatIp(a.address)}`,
    }));
  if (!ofFamily.some(isOwn)) {
    const request = address.add({ ...own, index, noDad: true });
    steps.push({ kind: 'address', index, request, why: 'its address was missing' });
  }
  return steps;
}

/**
 * Brings the device to its desired state. Returns its index and what was done, in words.
 *
 * @throws AgentError where the name or the VNI belongs to somebody else, or the kernel has no VXLAN.
 */
export function ensureDevice(rtnl: Rtnl, desired: DesiredDevice): { index: number; done: string[] } {
  const done: string[] = [];
  // A device that was just made needs an address in the next round; more than three rounds is a fight.
  for (let round = 0; round < 3; round++) {
    const actual = link.linkByName(rtnl, desired.name);
    const addresses = actual ? address.addresses(rtnl, { index: actual.index }) : [];
    const steps = planDevice(desired, actual, addresses);
    if (actual && steps.length === 0) {
      const before = ensureSysctl(`net/ipv6/conf/${desired.name}/accept_ra`, '0');
      if (before !== undefined) done.push(`${desired.name}: accept_ra: ${before} -> 0`);
      return { index: actual.index, done };
    }
    for (const step of steps) {
      carryOut(rtnl, desired, step);
      done.push(`${desired.name}: ${step.kind}: ${step.why}`);
    }
  }
  throw new AgentError(
    'device',
    `${desired.name} does not stay as weft sets it (${done.join('; ')}): another program changes it; find it with "ip monitor link address"`,
  );
}

function carryOut(rtnl: Rtnl, desired: DesiredDevice, step: DeviceStep): void {
  switch (step.kind) {
    case 'address':
      rtnl.execute([step.request]);
      break;
    case 'adjust':
      rtnl.execute([noLinkLocal(step.index), link.set(step.change)]);
      break;
    case 'recreate':
      removeOwn(rtnl, desired, step);
      create(rtnl, desired);
      break;
    case 'create':
      create(rtnl, desired);
  }
}

function removeOwn(rtnl: Rtnl, desired: DesiredDevice, step: { index: number; why: string }): void {
  const actual = link.linkByIndex(rtnl, step.index);
  if (actual && !actual.vxlan) {
    throw new AgentError('device', `${step.why}: rename or remove it (ip link del ${desired.name})`);
  }
  rtnl.execute([link.remove({ index: step.index })]);
}

/** Made down, so that nothing is sent from it before its settings stand. */
function create(rtnl: Rtnl, desired: DesiredDevice): void {
  const index = link.chooseIndex();
  const refusal = rtnl.attempt([
    link.vxlan({
      name: desired.name,
      index,
      mac: desired.mac,
      mtuBytes: desired.mtuBytes,
      vxlan: {
        vni: desired.vni,
        port: desired.port,
        parent: desired.underlayIndex,
        local: desired.underlayAddress,
        learning: false,
        gbp: false,
      },
    }),
  ])[0];
  if (refusal) throw explain(rtnl, desired, refusal);
  rtnl.execute([noLinkLocal(index), link.set({ index, up: true })]);
}

/**
 * No IPv6 link-local address: nothing needs one, and with it the kernel would solicit routers and report
 * multicast groups into the tunnel. A message of its own, for it has to stand before the device comes up.
 */
const noLinkLocal = (index: number): NetlinkRequest =>
  link.set({ index, ipv6AddrGenMode: IN6_ADDR_GEN_MODE_NONE });

const IN6_ADDR_GEN_MODE_NONE = 1;

function explain(rtnl: Rtnl, desired: DesiredDevice, refusal: KernelError): Error {
  if (failedWith(refusal, 'EOPNOTSUPP')) {
    return new AgentError(
      'device',
      `${refusal.message}: the kernel has no VXLAN; load it with "modprobe vxlan"`,
    );
  }
  if (!failedWith(refusal, 'EEXIST')) return refusal;
  const holder = link
    .links(rtnl)
    .find((l) => l.vxlan && l.vxlan.vni === desired.vni && l.vxlan.port === desired.port);
  if (!holder) return refusal;
  const flannel = holder.name.startsWith('flannel') ? ' (flannel runs, or ran, on this host)' : '';
  return new AgentError(
    'device',
    `VNI ${desired.vni} on UDP ${desired.port} belongs to ${holder.name}${flannel}: remove it (ip link del ${holder.name}) or set backend.vni or backend.port`,
  );
}
