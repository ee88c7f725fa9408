/** How large packets may be, as a function of the underlay and the configuration. */

import type { Family } from '../../inet/ip.ts';
import { vxlanOverheadBytes } from '../../kernel/link.ts';
import { AgentError } from '../errors.ts';
import type { OverlayState } from './state.ts';

/** What sizes depend on. */
export interface Sized extends Pick<OverlayState, 'backend'> {
  readonly underlay: {
    readonly mtuBytes: number;
    readonly address: { readonly address: { readonly family: Family } };
  };
}

/** The least that every IPv6 link has to carry (RFC 8200 section 5); without it the kernel has no IPv6 on a link. */
export const leastIpv6MtuBytes = 1280;

/** The largest inner packet that fits into the tunnel. */
export const tunnelMtuBytes = ({ underlay: { mtuBytes, address } }: Pick<Sized, 'underlay'>): number =>
  mtuBytes - vxlanOverheadBytes(address.address.family);

/** The largest packet of a pod that the backend carries. */
const carriedBytes = (state: Sized): number =>
  state.backend.type === 'direct' ? state.underlay.mtuBytes : tunnelMtuBytes(state);

/** The MTU of pods: as configured, as far as the underlay carries it. */
export const podMtuBytes = (state: Sized): number =>
  Math.min(state.backend.mtuBytes ?? Number.POSITIVE_INFINITY, carriedBytes(state));

/** A configured MTU that the underlay does not carry. */
export function mtuProblems(state: Pick<OverlayState, 'underlay' | 'backend'>): string[] {
  const { backend, underlay } = state;
  const carried = carriedBytes(state);
  if (backend.mtuBytes === undefined || backend.mtuBytes <= carried) return [];
  const headers = underlay.mtuBytes - carried;
  const room = headers ? ` (its MTU ${underlay.mtuBytes} less ${headers} bytes of VXLAN)` : '';
  return [
    `backend.mtu ${backend.mtuBytes} is more than ${underlay.name} carries, ${carried} is used${room}: ` +
      `raise the MTU of ${underlay.name}, or set backend.mtu to ${carried} or less`,
  ];
}

/** @throws AgentError where the overlay is IPv6 and packets of IPv6's minimum do not fit */
export function requireIpv6Mtu(state: Pick<OverlayState, 'network' | 'underlay' | 'backend'>): void {
  if (state.network.family !== 'ipv6') return;
  const least = leastIpv6MtuBytes;
  const carried = carriedBytes(state);
  const { name, mtuBytes } = state.underlay;
  if (carried < least) {
    throw new AgentError(
      'device',
      `IPv6 needs an MTU of ${least}, and ${name} leaves ${carried} of its ${mtuBytes}: set the MTU of ` +
        `${name} to ${mtuBytes + least - carried} or more on every node and switch, or remove network6`,
    );
  }
  if (podMtuBytes(state) < least) {
    throw new AgentError(
      'device',
      `IPv6 needs an MTU of ${least}, and backend.mtu is ${state.backend.mtuBytes}: set it to ${least} ` +
        'or more, or remove network6',
    );
  }
}
