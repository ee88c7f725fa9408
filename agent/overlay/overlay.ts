/**
 * One family's overlay: brings the kernel from whatever it is to what the peers ask for.
 *
 * Every trigger (a lease, a notification, a timer, a restart) runs the same `converge`: state → plan → apply
 * → verify. It has no memory but of what failed, and when it may be tried again.
 */
import { type Cidr, containsIp, formatCidr, type InterfaceAddress, networkOf } from '../../inet/cidr.ts';
import { addresses } from '../../kernel/address.ts';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import { type Link, linkByName, links, remove as removeLink, vxlanOverheadBytes } from '../../kernel/link.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { BackendType } from '../config/config.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import { actualEntries } from './actual.ts';
import { applyPlan } from './apply.ts';
import { Backoff } from './backoff.ts';
import { Contention } from './contention.ts';
import { describePort, describeProtocol } from './culprit.ts';
import { type Damage, damageBy, type Watched } from './damage.ts';
import { type DesiredMemory, desiredEntries, type Ground, type PeerPlan } from './desired.ts';
import { type DesiredDevice, deviceName, ensureDevice, hasTunnel, planDevice } from './device.ts';
import { ensureDirectProbing, previewDirectProbing } from './direct-probing.ts';
import { describeEntry, type Entry, idOf, sameEntry } from './entry.ts';
import { Mirror } from './mirror.ts';
import type { Peer } from './peer.ts';
import { describePlan, isEmpty, type Plan, planEntries } from './plan.ts';
import { ensureSettings, previewSettings, settingsOf } from './settings.ts';
import { type Sighting, sightingOf } from './sighting.ts';
import { type Hindrance, Soliciting } from './soliciting.ts';

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
    /** Type `direct`: there was a tunnel, and peers may send through it until they have heard that it goes. */
    readonly tunnelStays?: boolean;
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
  /** How much was changed. */
  readonly changes: number;
  /** What was changed, in words; the first so many. Empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, in words that name the peer or the entry and a remedy. */
  readonly problems: readonly string[];
  /** What peers cannot be reached before, and what passes by itself, in words. */
  readonly settling: string | undefined;
  /** When the earliest failed entry may be tried again, in milliseconds from now; undefined: nothing failed. */
  readonly retryInMs: number | undefined;
}

/** What was changed is told entry by entry up to here, then as a number. */
const TOLD = 20;
/** What settles by itself is looked at again so soon: not all of it is notified of. */
const SETTLING_MS = 250;

export class Overlay {
  readonly #rtnl: Rtnl;
  readonly #set: SetSysctl;
  readonly #mirror = new Mirror();
  readonly #memory: DesiredMemory = new WeakMap();
  readonly #backoff = new Backoff();
  readonly #contention = new Contention();
  readonly #soliciting = new Soliciting();
  /** Who was last seen to change an entry that is desired, by its id. */
  readonly #seen = new Map<string, string>();
  /** What somebody undid, and was not put back yet. */
  readonly #undone = new Set<string>();
  /** The kernel's words for what failed and is not due yet, by entry id. */
  readonly #refusals = new Map<string, string>();
  #watched: Watched | undefined;
  /** The name of our device at the time when there was seen to be no other one of ours; empty: none at all. */
  #onlyDevice: string | undefined;

  /** `set`: how the host's settings are changed. */
  constructor(rtnl: Rtnl, set: SetSysctl = ensureSysctl) {
    this.#rtnl = rtnl;
    this.#set = set;
  }

  /** A notification. Answers why it makes a pass necessary; undefined where it does not. */
  observe(message: NetlinkMessage): Damage | undefined {
    const watched = this.#watched;
    if (!watched) return undefined;
    const sighting = sightingOf(message, watched);
    if (sighting) return this.#observeEntry(sighting, message, watched.entries);
    const damage = damageBy(message, watched);
    if (damage?.reread) this.#mirror.invalidate();
    return damage;
  }

  /** What is known of the kernel's tables may be wrong: the next pass reads them. */
  invalidate(): void {
    this.#mirror.invalidate();
  }

  /** Makes the kernel what the state asks for. Throws only where nothing at all can be done (no device). */
  async converge(state: OverlayState): Promise<Converged> {
    const done: string[] = [];
    const ground = this.#ensureGround(state, done);
    done.push(...ensureSettings(settingsOf(state), this.#set), ...ensureDirectProbing(this.#rtnl, state));
    const plans = peerPlans(state);
    const { entries, problems } = desiredEntries(plans, ground, this.#memory);
    const before = this.#watched?.entries;
    this.#watched = watchedOf(state, ground, entries);
    let changes = done.length;
    const scope = { network: state.network, deviceIndex: ground.deviceIndex };
    let read: boolean;
    for (;;) {
      read = this.#mirror.ensureRead(this.#rtnl, scope);
      const whole = planEntries(entries, this.#mirror.entries);
      if (!read) this.#noteUndone(whole, before);
      const plan = this.#due(whole, state.complete);
      if (isEmpty(plan)) break;
      const { failures } = await applyPlan(this.#rtnl, plan, (step) => {
        this.#mirror.applied(step);
        this.#settled(step.id);
        // Of what is fought over one line tells, among the problems.
        if (this.#contention.isFoughtOver(step.id)) return;
        changes++;
        if (done.length < TOLD) done.push(`${step.verb} ${describeEntry(step.entry)}`);
      });
      const unexpected = [...failures.keys()].some((id) => !this.#refusals.has(id));
      for (const [id, failure] of failures) this.#failed(id, failure, entries.get(id));
      if (read || !unexpected) break;
      // What was known of the kernel was wrong.
      this.#mirror.invalidate();
      for (const id of failures.keys()) this.#settled(id);
    }
    this.#forget(entries);
    const removed = this.#removeStaleDevices(state, read);
    changes += removed.length;
    done.push(...removed);
    const hindrance = this.#hindrance(state, plans);
    const waits = [
      this.#backoff.nextInMs(),
      this.#contention.nextInMs(),
      hindrance?.passes ? SETTLING_MS : undefined,
    ].filter((ms) => ms !== undefined);
    return {
      changes,
      done,
      problems: [
        ...problems.map(({ text }) => text),
        ...this.#refusals.values(),
        ...this.#contention.problems(),
        ...(hindrance && !hindrance.passes ? [hindrance.text] : []),
      ],
      settling: hindrance?.passes ? hindrance.text : undefined,
      retryInMs: waits.length ? Math.min(...waits) : undefined,
    };
  }

  /** What `converge` would do, in words, doing nothing. */
  preview(state: OverlayState): { readonly plan: readonly string[]; readonly problems: readonly string[] } {
    const device = hasTunnel(state.backend) ? desiredDevice(state) : undefined;
    const actual = device && linkByName(this.#rtnl, device.name);
    const steps = device
      ? planDevice(device, actual, actual ? addresses(this.#rtnl, { index: actual.index }) : [])
      : [];
    const anew = steps.some(({ kind }) => kind === 'create' || kind === 'recreate');
    const ground = { deviceIndex: device && (actual?.index ?? 0), underlayIndex: state.underlay.index };
    const { entries, problems } = desiredEntries(peerPlans(state), ground);
    const scope = { network: state.network, deviceIndex: anew ? undefined : actual?.index };
    const plan = planEntries(entries, actualEntries(this.#rtnl, scope));
    return {
      plan: [
        ...previewSettings(settingsOf(state)),
        ...previewDirectProbing(this.#rtnl, state),
        ...steps.map(({ kind, why }) => `${kind} ${device?.name}: ${why}`),
        ...describePlan({ ...plan, remove: state.complete ? plan.remove : [] }),
        ...(state.complete ? staleDevices(this.#rtnl, state) : []).map(
          ({ name }) => `remove ${name}: ${STALE}`,
        ),
      ],
      problems: problems.map(({ text }) => text),
    };
  }

  /** Of the direct way that nobody probes: a probed one is not taken before it answers. */
  #hindrance(state: OverlayState, plans: readonly PeerPlan[]): Hindrance | undefined {
    const unproven =
      state.backend.type === 'direct' || plans.some(({ way, probed }) => way === 'direct' && !probed);
    if (state.network.family !== 'ipv6' || !unproven) return undefined;
    return this.#soliciting.hindrance(this.#rtnl, state.underlay);
  }

  #observeEntry(
    sighting: Sighting,
    message: NetlinkMessage,
    desired: ReadonlyMap<string, Entry>,
  ): Damage | undefined {
    const { entry, what } = sighting;
    const id = idOf(entry);
    this.#mirror.observe(id, sighting);
    const wanted = desired.get(id);
    if (what === 'foreign gone') {
      if (!wanted || this.#mirror.entries.has(id)) return undefined;
      // What was in the way may have gone.
      this.#settled(id);
      return { reason: `foreign ${entry.kind} gone` };
    }
    if (!wanted) {
      if (what !== 'there') return undefined;
      // It may have taken the place of one of ours, and of that the kernel says nothing (FDB, NLM_F_REPLACE).
      this.#mirror.invalidate();
      return { reason: `stray ${entry.kind}` };
    }
    if (what === 'there' && sameEntry(entry, wanted)) return undefined;
    const who =
      what === 'foreign' && sighting.protocol !== undefined
        ? describeProtocol(sighting.protocol)
        : describePort(message.portId);
    if (who) this.#seen.set(id, who);
    return { reason: what === 'gone' ? `${entry.kind} gone` : `${entry.kind} changed` };
  }

  /** Entries that were desired before too, and stood. */
  #noteUndone(plan: Plan, before: ReadonlyMap<string, Entry> | undefined): void {
    for (const { id, entry } of plan.ensure) {
      const was = before?.get(id);
      const stood = was && sameEntry(was, entry) && !this.#refusals.has(id) && !this.#undone.has(id);
      if (!stood) continue;
      this.#contention.undone(id, entry, this.#seen.get(id));
      this.#undone.add(id);
    }
  }

  #settled(id: string): void {
    this.#backoff.settled(id);
    this.#refusals.delete(id);
    this.#undone.delete(id);
  }

  #failed(id: string, failure: KernelError, entry: Entry | undefined): void {
    this.#backoff.failed(id);
    const who = this.#seen.get(id);
    const inTheWay = entry?.kind === 'route' && failure.code === 'EEXIST';
    this.#refusals.set(
      id,
      inTheWay
        ? `${describeEntry(entry)} cannot be set: ${who ?? 'another program'} has a route to ${formatCidr(entry.destination)}; remove it (ip route del ${formatCidr(entry.destination)}), or give that node another subnet`
        : failure.message,
    );
  }

  #forget(entries: ReadonlyMap<string, Entry>): void {
    this.#backoff.keepOnly(entries);
    this.#contention.keepOnly(entries);
    for (const id of this.#refusals.keys()) if (!entries.has(id)) this.#refusals.delete(id);
    for (const id of this.#undone) if (!entries.has(id)) this.#undone.delete(id);
    for (const id of this.#seen.keys()) if (!entries.has(id)) this.#seen.delete(id);
  }

  /** Devices of an earlier configuration: last of all, when no route leads to them any more. */
  #removeStaleDevices(state: OverlayState, read: boolean): string[] {
    const wanted = hasTunnel(state.backend) ? deviceName(state.network.family, state.backend.vni) : '';
    if (!state.complete || (!read && this.#onlyDevice === wanted)) return [];
    const stale = staleDevices(this.#rtnl, state);
    const refusals = this.#rtnl.attempt(stale.map(({ index }) => removeLink({ index })));
    for (const refusal of refusals) if (refusal && !failedWith(refusal, 'ENODEV')) throw refusal;
    this.#onlyDevice = wanted;
    return stale.map(({ name }) => `remove ${name}: ${STALE}`);
  }

  #ensureGround(state: OverlayState, done: string[]): Ground {
    if (!hasTunnel(state.backend)) {
      return { deviceIndex: undefined, underlayIndex: state.underlay.index };
    }
    const device = ensureDevice(this.#rtnl, desiredDevice(state));
    if (device.done.length) this.#mirror.invalidate();
    done.push(...device.done);
    return { deviceIndex: device.index, underlayIndex: state.underlay.index };
  }

  #due(plan: Plan, complete: boolean): Plan {
    const isDue = ({ id }: { id: string }) => this.#backoff.isDue(id) && this.#contention.isDue(id);
    return { ensure: plan.ensure.filter(isDue), remove: complete ? plan.remove.filter(isDue) : [] };
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

const STALE = 'the configuration has no such tunnel';

/** VXLAN devices of ours that this configuration does not have. */
function staleDevices(rtnl: Rtnl, { network: { family }, backend }: OverlayState): Link[] {
  const wanted = hasTunnel(backend) ? deviceName(family, backend.vni) : undefined;
  return links(rtnl).filter(
    ({ name, vxlan }) => vxlan && name !== wanted && name === deviceName(family, vxlan.vni),
  );
}

/** The MTU that pods get: what the configuration says, else what the underlay leaves. */
export function podMtuBytes(state: Pick<OverlayState, 'underlay' | 'backend'>): number {
  if (state.backend.mtuBytes !== undefined) return state.backend.mtuBytes;
  const { mtuBytes, address } = state.underlay;
  return state.backend.type === 'direct' ? mtuBytes : mtuBytes - vxlanOverheadBytes(address.address.family);
}

/** The device that the state asks for. */
export function desiredDevice(state: OverlayState): DesiredDevice {
  const { mtuBytes, address } = state.underlay;
  const most = mtuBytes - vxlanOverheadBytes(address.address.family);
  return {
    name: deviceName(state.network.family, state.backend.vni),
    vni: state.backend.vni,
    port: state.backend.port,
    mac: state.vtepMac,
    // Pods that need no tunnel have more than it can carry.
    mtuBytes: state.backend.type === 'direct' ? Math.min(podMtuBytes(state), most) : podMtuBytes(state),
    underlayIndex: state.underlay.index,
    underlayAddress: state.underlay.address.address,
    subnet: state.subnet,
    network: state.network,
  };
}

function peerPlans(state: OverlayState): PeerPlan[] {
  const full = podMtuBytes(state);
  const overhead = vxlanOverheadBytes(state.underlay.address.address.family);
  return state.peers.map((peer) => {
    const { way, probed } = wayTo(state, peer);
    const inside = state.pathMtuBytes.get(peer.key);
    // What was found out is for packets in the tunnel; without it there is room for its headers.
    const mtuBytes = inside !== undefined && way === 'direct' ? inside + overhead : inside;
    return { peer, way, probed, mtuBytes: mtuBytes !== undefined && mtuBytes < full ? mtuBytes : undefined };
  });
}

function wayTo(state: OverlayState, peer: Peer): Pick<PeerPlan, 'way' | 'probed'> {
  const { type, tunnelStays } = state.backend;
  const choice = (type === 'vxlan' || tunnelStays === true) && peer.vtepMac !== undefined;
  if (choice || !isOnLink(state, peer)) return { way: 'vxlan', probed: false };
  // A peer without a tunnel (host-gw) can only be reached straight, whatever our own mode.
  if (type === 'direct' || peer.vtepMac === undefined) return { way: 'direct', probed: false };
  return { way: state.answeringDirect.has(peer.key) ? 'direct' : 'vxlan', probed: true };
}

/** Whether the peer's endpoint shares the underlay's layer-2 network, as far as addresses tell. */
export function isOnLink(state: Pick<OverlayState, 'underlay'>, peer: Peer): boolean {
  const { address, length } = state.underlay.address;
  return containsIp(networkOf(address, length), peer.endpoint);
}
