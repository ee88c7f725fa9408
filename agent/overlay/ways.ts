/** Which way packets to each peer take, and how large they may be: a function of the state. */
import { containsIp, networkOf } from '../../inet/cidr.ts';
import { vxlanOverheadBytes } from '../../kernel/link.ts';
import { podMtuBytes } from './mtu.ts';
import type { Peer, PeerPlan } from './peer.ts';
import type { OverlayState } from './state.ts';

/** Whether the peer's endpoint is on the underlay's layer-2 network, judged by addresses. */
export const isOnLink = (state: Pick<OverlayState, 'underlay'>, peer: Peer): boolean =>
  onLink(state.underlay)(peer);

export function* peerPlans(state: OverlayState): Generator<PeerPlan> {
  const full = podMtuBytes(state);
  const overhead = vxlanOverheadBytes(state.underlay.address.address.family);
  const isNear = onLink(state.underlay);
  for (const peer of state.peers) {
    const { way, probed } = wayTo(state, peer, isNear);
    const inside = state.pathMtuBytes.get(peer.key);
    // What was found out is for packets in the tunnel; without it there is room for its headers.
    const mtuBytes = inside !== undefined && way === 'direct' ? inside + overhead : inside;
    yield { peer, way, probed, mtuBytes: mtuBytes !== undefined && mtuBytes < full ? mtuBytes : undefined };
  }
}

function onLink({ address: { address, length } }: OverlayState['underlay']): (peer: Peer) => boolean {
  const network = networkOf(address, length);
  return (peer) => containsIp(network, peer.endpoint);
}

function wayTo(
  state: OverlayState,
  peer: Peer,
  isNear: (peer: Peer) => boolean,
): Pick<PeerPlan, 'way' | 'probed'> {
  const { type, tunnelStays } = state.backend;
  const choice = (type === 'vxlan' || tunnelStays === true) && peer.vtepMac !== undefined;
  if (choice || !isNear(peer)) return { way: 'vxlan', probed: false };
  // A peer without a tunnel (host-gw) can only be reached directly, whichever backend this node has.
  if (type === 'direct' || peer.vtepMac === undefined) return { way: 'direct', probed: false };
  return { way: state.answeringDirect.has(peer.key) ? 'direct' : 'vxlan', probed: true };
}
