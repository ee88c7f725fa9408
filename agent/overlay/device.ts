/**
 * The VXLAN device of one family: `weft.<VNI>`, or `weft-v6.<VNI>` (as flannel, weft has one per family).
 *
 * What cannot be changed on a device that exists (VNI, port, parent, local address, learning) makes it be
 * made anew; its MAC, MTU and state are set right in place.
 */
import { type Cidr, containsIp, firstIp } from '../../inet/cidr.ts';
import { bitsOf, type Family, formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import type * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import { podMtuBytes, requireIpv6Mtu, tunnelMtuBytes } from './mtu.ts';
import { type OverlayState, sourceOf } from './state.ts';

export interface DesiredDevice {
  readonly name: string;
  readonly vni: number;
  /** UDP port. */
  readonly port: number;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly underlayName: string;
  readonly underlayIndex: number;
  readonly underlayAddress: Ip;
  /** This node's subnet; its network address is the device's. */
  readonly subnet: Cidr;
  /** The cluster network: foreign addresses out of it are taken off the device. */
  readonly network: Cidr;
}

export const deviceName = (family: Family, vni: number): string =>
  family === 'ipv4' ? `weft.${vni}` : `weft-v6.${vni}`;

/** Whether packets may come and go through a tunnel. */
export const hasTunnel = ({
  type,
  tunnelStays,
}: Pick<OverlayState['backend'], 'type' | 'tunnelStays'>): boolean =>
  type !== 'direct' || tunnelStays === true;

/**
 * The device that the state asks for; undefined where it asks for none.
 *
 * @throws AgentError `device` where no device can carry the family's packets
 */
export function desiredDevice(state: OverlayState): DesiredDevice | undefined {
  if (!hasTunnel(state.backend)) return undefined;
  requireIpv6Mtu(state);
  return {
    name: deviceName(state.network.family, state.backend.vni),
    vni: state.backend.vni,
    port: state.backend.port,
    mac: state.vtepMac,
    // In backend "direct" pods may have more than fits into a tunnel.
    mtuBytes: Math.min(podMtuBytes(state), tunnelMtuBytes(state)),
    underlayName: state.underlay.name,
    underlayIndex: state.underlay.index,
    underlayAddress: sourceOf(state.underlay),
    subnet: state.subnet,
    network: state.network,
  };
}

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

/** The steps from the existing device (undefined: there is none) to the desired one. Pure. */
export function planDevice(
  desired: DesiredDevice,
  existing: link.Link | undefined,
  addresses: readonly address.LinkAddress[],
  nameOf: (index: number) => string | undefined = () => undefined,
): DeviceStep[] {
  if (!existing) return [{ kind: 'create', why: 'it is missing' }];
  const differs = unchangeable(desired, existing, nameOf);
  if (differs) return [{ kind: 'recreate', index: existing.index, why: differs }];
  return [...adjustments(desired, existing), ...addressSteps(desired, existing.index, addresses)];
}

function unchangeable(
  desired: DesiredDevice,
  existing: link.Link,
  nameOf: (index: number) => string | undefined,
): string | undefined {
  const has = existing.vxlan;
  if (!has) return `${existing.name} is a ${existing.kind ?? 'hardware'} link, not a vxlan device`;
  if (has.vni !== desired.vni) return `its VNI is ${has.vni}`;
  if (has.port !== desired.port) return `its UDP port is ${has.port}`;
  if (has.parent !== desired.underlayIndex) return `its underlay is ${parentName(has.parent, nameOf)}`;
  if (!has.local || !sameIp(has.local, desired.underlayAddress)) {
    return `its local address is ${has.local ? formatIp(has.local) : 'unset'}`;
  }
  return has.learning ? 'it learns' : undefined;
}

/** An earlier underlay may be gone, or be in the namespace under the same name with another index. */
function parentName(index: number | undefined, nameOf: (index: number) => string | undefined): string {
  if (index === undefined) return 'not set';
  return nameOf(index) ?? 'a link that was removed';
}

function adjustments(desired: DesiredDevice, existing: link.Link): DeviceStep[] {
  const change: link.LinkChange = { index: existing.index };
  const why: string[] = [];
  if (existing.mac !== desired.mac) {
    change.mac = desired.mac;
    why.push(`its MAC was ${existing.mac}`);
  }
  if (existing.mtuBytes !== desired.mtuBytes) {
    change.mtuBytes = desired.mtuBytes;
    why.push(`its MTU was ${existing.mtuBytes}`);
  }
  if (!existing.up) {
    change.up = true;
    why.push('it was down');
  }
  return why.length ? [{ kind: 'adjust', index: existing.index, change, why: why.join(', ') }] : [];
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
