/**
 * One family's overlay: brings the kernel from whatever it is to what the peers ask for.
 *
 * Every trigger (a lease, a notification, a timer, a restart) runs the same `converge`: state → plan → apply
 * → verify. It has no memory but of what failed, and when it may be tried again.
 */
import { type Cidr, containsIp, type InterfaceAddress, networkOf } from '../../inet/cidr.ts';
import { vxlanOverheadBytes } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { BackendType } from '../config/config.ts';
import { actualEntries } from './actual.ts';
import { applyPlan } from './apply.ts';
import { Backoff } from './backoff.ts';
import type { Watched } from './damage.ts';
import { desiredEntries, type Ground, type PeerPlan } from './desired.ts';
import { type DesiredDevice, deviceName, ensureDevice } from './device.ts';
import { ensureDirectProbing } from './direct-probing.ts';
import { ensureForwarding } from './forwarding.ts';
import type { Peer } from './peer.ts';
import { isEmpty, type Plan, planEntries } from './plan.ts';

/** What this node brings to the overlay of one family. */
export interface OverlayState {
  /** The cluster network and this node's part of it. */
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly underlay: {
    readonly index: number;
    readonly name: string;
    readonly address: InterfaceAddress;
    readonly mtuBytes: number;
  };
  readonly vtepMac: string;
  readonly backend: {
    /** `auto`: direct where the peer is on the same link and answers probes over it. */
    readonly type: BackendType;
    readonly vni: number;
    readonly port: number;
    /** Undefined: what the underlay leaves. */
    readonly mtuBytes: number | undefined;
  };
  readonly peers: readonly Peer[];
  /** Keys of the peers that answer probes over the direct way (backend `auto`). */
  readonly answeringDirect: ReadonlySet<string>;
  /** The largest packet that reaches a peer, by key, where it is less than the pods' MTU. */
  readonly pathMtuBytes: ReadonlyMap<string, number>;
  /** Whether `peers` is all there are: only then may anything be swept. */
  readonly complete: boolean;
}

export interface Converged {
  /** What was changed, in words; empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, in words that name the peer or the entry and a remedy. */
  readonly problems: readonly string[];
  /** When the earliest failed entry may be tried again, in milliseconds from now; undefined: nothing failed. */
  readonly retryInMs: number | undefined;
}

/** A plan that still finds something after this many rounds meets somebody who works against us. */
const ROUNDS = 3;

export class Overlay {
  readonly #rtnl: Rtnl;
  readonly #backoff = new Backoff();
  #watched: Watched | undefined;

  constructor(rtnl: Rtnl) {
    this.#rtnl = rtnl;
  }

  /** What the last pass asked for: what notifications are held against. Undefined before the first. */
  get watched(): Watched | undefined {
    return this.#watched;
  }

  /** Makes the kernel what the state asks for. Throws only where nothing at all can be done (no device). */
  async converge(state: OverlayState): Promise<Converged> {
    const done = ensureForwarding(state.underlay.name, state.network.family);
    const ground = this.#ensureGround(state, done);
    done.push(...ensureDirectProbing(this.#rtnl, state));
    const { entries, problems } = desiredEntries(peerPlans(state), ground);
    this.#watched = watchedOf(state, ground, entries);
    const failures = new Map<string, string>();
    for (let round = 0; round < ROUNDS; round++) {
      const actual = actualEntries(this.#rtnl, { network: state.network, deviceIndex: ground.deviceIndex });
      const plan = this.#due(planEntries(entries, actual), state.complete);
      if (isEmpty(plan)) break;
      const applied = await applyPlan(this.#rtnl, plan);
      done.push(...applied.done);
      for (const [id, failure] of applied.failures) {
        this.#backoff.failed(id);
        failures.set(id, failure.message);
      }
      for (const { id } of plan.ensure) if (!applied.failures.has(id)) this.#backoff.settled(id);
    }
    this.#backoff.keepOnly(entries);
    return {
      done,
      problems: [...problems.map(({ text }) => text), ...failures.values()],
      retryInMs: this.#backoff.nextInMs(),
    };
  }

  /** What `converge` would do to the entries, doing nothing. */
  preview(state: OverlayState, deviceIndex: number | undefined): Plan {
    const ground = { deviceIndex, underlayIndex: state.underlay.index };
    const { entries } = desiredEntries(peerPlans(state), ground);
    return planEntries(entries, actualEntries(this.#rtnl, { network: state.network, deviceIndex }));
  }

  #ensureGround(state: OverlayState, done: string[]): Ground {
    if (state.backend.type === 'direct') {
      return { deviceIndex: undefined, underlayIndex: state.underlay.index };
    }
    const device = ensureDevice(this.#rtnl, desiredDevice(state));
    done.push(...device.done);
    return { deviceIndex: device.index, underlayIndex: state.underlay.index };
  }

  #due(plan: Plan, complete: boolean): Plan {
    return {
      ensure: plan.ensure.filter(({ id }) => this.#backoff.isDue(id)),
      remove: complete ? plan.remove.filter(({ id }) => this.#backoff.isDue(id)) : [],
    };
  }
}

const watchedOf = (state: OverlayState, ground: Ground, entries: Watched['entries']): Watched => ({
  network: state.network,
  deviceName:
    ground.deviceIndex === undefined ? undefined : deviceName(state.network.family, state.backend.vni),
  deviceIndex: ground.deviceIndex,
  underlayName: state.underlay.name,
  underlayIndex: state.underlay.index,
  entries,
  probesDirect: state.backend.type === 'auto',
});

/** The MTU that pods get: what the configuration says, else what the underlay leaves. */
export function podMtuBytes(state: Pick<OverlayState, 'underlay' | 'backend'>): number {
  if (state.backend.mtuBytes !== undefined) return state.backend.mtuBytes;
  const { mtuBytes, address } = state.underlay;
  return state.backend.type === 'direct' ? mtuBytes : mtuBytes - vxlanOverheadBytes(address.address.family);
}

/** The device that the state asks for. */
export function desiredDevice(state: OverlayState): DesiredDevice {
  return {
    name: deviceName(state.network.family, state.backend.vni),
    vni: state.backend.vni,
    port: state.backend.port,
    mac: state.vtepMac,
    mtuBytes: podMtuBytes(state),
    underlayIndex: state.underlay.index,
    underlayAddress: state.underlay.address.address,
    subnet: state.subnet,
    network: state.network,
  };
}

function peerPlans(state: OverlayState): PeerPlan[] {
  return state.peers.map((peer) => ({
    peer,
    ...wayTo(state, peer),
    mtuBytes: state.pathMtuBytes.get(peer.key),
  }));
}

function wayTo(state: OverlayState, peer: Peer): Pick<PeerPlan, 'way' | 'probed'> {
  const { type } = state.backend;
  if (type === 'vxlan' || !isOnLink(state, peer)) return { way: 'vxlan', probed: false };
  // A peer without a tunnel (host-gw) leaves no choice.
  if (type === 'direct' || peer.vtepMac === undefined) return { way: 'direct', probed: false };
  return { way: state.answeringDirect.has(peer.key) ? 'direct' : 'vxlan', probed: true };
}

/** Whether the peer's endpoint shares the underlay's layer-2 network, as far as addresses tell. */
export function isOnLink(state: Pick<OverlayState, 'underlay'>, peer: Peer): boolean {
  const { address, length } = state.underlay.address;
  return containsIp(networkOf(address, length), peer.endpoint);
}
