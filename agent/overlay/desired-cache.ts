/** The desired entries, made again only where something has changed that they depend on. */
import { sameInterfaceAddress } from '../../inet/cidr.ts';
import { isUnchanged } from '../reconcile/generation.ts';
import { inSlices } from '../slices.ts';
import {
  clusterEntries,
  type Desired,
  type DesiredMemory,
  desiredEntries,
  type EntryLinks,
} from './desired.ts';
import { podMtuBytes } from './mtu.ts';
import type { OverlayState } from './state.ts';
import { peerPlans } from './ways.ts';

interface Made {
  readonly state: OverlayState;
  readonly links: EntryLinks;
  readonly desired: Desired;
}

export class DesiredCache {
  readonly #memory: DesiredMemory = new WeakMap();
  #made: Made | undefined;

  /** The same object as long as nothing has changed. */
  async of(state: OverlayState, links: EntryLinks): Promise<Desired> {
    const made = this.#made;
    if (made && sameLinks(made.links, links) && sameInputs(made.state, state)) return made.desired;
    const desired = await inSlices(
      desiredEntries(peerPlans(state), links, {
        memory: this.#memory,
        more: clusterEntries(state, links),
      }),
    );
    // Results of probes are updated in place, so they are copied.
    const { answeringDirect, pathMtuBytes } = state;
    const kept = { answeringDirect: new Set(answeringDirect), pathMtuBytes: new Map(pathMtuBytes) };
    this.#made = { state: { ...state, ...kept }, links, desired };
    return desired;
  }
}

const sameLinks = (a: EntryLinks, b: EntryLinks): boolean =>
  a.deviceIndex === b.deviceIndex &&
  a.underlayIndex === b.underlayIndex &&
  a.foreignNetworkRoute === b.foreignNetworkRoute;

/** Peers are compared by generation; results of probes by value, because they are updated in place. */
const sameInputs = (a: OverlayState, b: OverlayState): boolean =>
  isUnchanged(a.peers, b.peers) &&
  a.unleased === b.unleased &&
  a.backend.type === b.backend.type &&
  a.backend.tunnelStays === b.backend.tunnelStays &&
  podMtuBytes(a) === podMtuBytes(b) &&
  sameInterfaceAddress(a.underlay.address, b.underlay.address) &&
  a.answeringDirect.size === b.answeringDirect.size &&
  [...a.answeringDirect].every((key) => b.answeringDirect.has(key)) &&
  a.pathMtuBytes.size === b.pathMtuBytes.size &&
  [...a.pathMtuBytes].every(([key, mtuBytes]) => b.pathMtuBytes.get(key) === mtuBytes);
