/**
 * One family's overlay: brings the kernel from whatever it is to what the peers ask for.
 *
 * Every trigger (a lease, a notification, a timer, a restart) runs the same `converge`: state → plan → apply
 * → verify. It has no memory but of what failed, and when it may be tried again.
 */
import { type Cidr, formatCidr, type InterfaceAddress } from '../../inet/cidr.ts';
import { addresses } from '../../kernel/address.ts';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import { type Link, linkByName, links, remove as removeLink, vxlanOverheadBytes } from '../../kernel/link.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { BackendType } from '../config/config.ts';
import { atOnce, inSlices, type Steps } from '../slices.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import { actualEntries } from './actual.ts';
import { applySteps, type Sockets, type Step } from './apply.ts';
import { Backoff } from './backoff.ts';
import { Contention } from './contention.ts';
import { describePort, describeProtocol } from './culprit.ts';
import { type Damage, damageBy, type Watched } from './damage.ts';
import { type Desired, desiredEntries, type Ground } from './desired.ts';
import { type DesiredDevice, deviceName, ensureDevice, hasTunnel, planDevice } from './device.ts';
import { ensureDirectProbing, previewDirectProbing } from './direct-probing.ts';
import { describeEntry, type Entry, sameEntry } from './entry.ts';
import { Mirror } from './mirror.ts';
import type { Peer } from './peer.ts';
import { describePlan, planEntries } from './plan.ts';
import { ensureSettings, previewSettings, settingsOf } from './settings.ts';
import { type Sighting, sightingOf } from './sighting.ts';
import { type Hindrance, Soliciting } from './soliciting.ts';
import { Wanted } from './wanted.ts';
import { peerPlans, podMtuBytes } from './ways.ts';

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
/** Entries between two places where others may have their turn. */
const SOME = 128;

export interface OverlayOptions {
  /** How the host's settings are changed. */
  readonly set?: SetSysctl;
  /** A socket of the same namespace that nobody else uses: with it thousands of peers keep nobody waiting. */
  readonly bulk?: Rtnl;
}

export class Overlay {
  readonly #sockets: Sockets;
  readonly #set: SetSysctl;
  readonly #mirror: Mirror;
  readonly #wanted = new Wanted();
  readonly #backoff = new Backoff();
  readonly #contention = new Contention();
  readonly #soliciting = new Soliciting();
  /** Who was last seen to change an entry that is desired, by its id. */
  readonly #seen = new Map<string, string>();
  /** What somebody undid, and was not put back yet. */
  readonly #undone = new Set<string>();
  /** The kernel's words for what failed and is not due yet, by entry id. */
  readonly #refusals = new Map<string, string>();
  /** Ids of all entries that may not be as desired. */
  readonly #open = new Set<string>();
  /** The desired entries that all others were compared with. */
  #compared: Desired | undefined;
  /** Ids of the desired forwarding entries by MAC, once somebody has asked. */
  #forwarding: ReadonlyMap<string, string> | undefined;
  #watched: Watched | undefined;
  /** The name of our device at the time when there was seen to be no other one of ours; empty: none at all. */
  #onlyDevice: string | undefined;

  constructor(rtnl: Rtnl, { set = ensureSysctl, bulk }: OverlayOptions = {}) {
    this.#sockets = { rtnl, bulk };
    this.#set = set;
    this.#mirror = new Mirror(bulk ?? rtnl, bulk !== undefined);
  }

  /** A notification. Answers why it makes a pass necessary; undefined where it does not. */
  observe(message: NetlinkMessage): Damage | undefined {
    const watched = this.#watched;
    if (!watched) return undefined;
    const sighting = sightingOf(message, watched, (id) => watched.entries.get(id));
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
    done.push(
      ...ensureSettings(settingsOf(state), this.#set),
      ...ensureDirectProbing(this.#sockets.rtnl, state),
    );
    const desired = await this.#wanted.of(state, ground);
    const before = this.#watched?.entries;
    this.#watched = watchedOf(state, ground, desired.entries);
    let changes = done.length;
    const scope = { network: state.network, deviceIndex: ground.deviceIndex };
    let read: boolean;
    for (;;) {
      read = await this.#mirror.ensureRead(scope, (id) => desired.entries.get(id));
      if (read || desired !== this.#compared) await inSlices(this.#compare(desired));
      const known = new Set(this.#refusals.keys());
      let tried = 0;
      const steps = this.#steps(desired.entries, {
        complete: state.complete,
        before: read ? undefined : before,
      });
      const failures = await applySteps(this.#sockets, steps, (step) => {
        tried++;
        this.#mirror.applied(step);
        this.#open.delete(step.id);
        this.#settled(step.id);
        // Of what is fought over one line tells, among the problems.
        if (this.#contention.isFoughtOver(step.id)) return;
        changes++;
        if (done.length < TOLD) done.push(`${step.verb} ${describeEntry(step.entry)}`);
      });
      if (tried === 0 && failures.size === 0) break;
      const unexpected = [...failures.keys()].some((id) => !known.has(id));
      for (const [id, failure] of failures) this.#failed(id, failure, desired.entries.get(id));
      if (read || !unexpected) break;
      // What was known of the kernel was wrong.
      this.#mirror.invalidate();
      for (const id of failures.keys()) this.#settled(id);
    }
    this.#forget(desired.entries);
    const removed = this.#removeStaleDevices(state, read);
    changes += removed.length;
    done.push(...removed);
    const hindrance = this.#hindrance(state, desired);
    const waits = [
      this.#backoff.nextInMs(),
      this.#contention.nextInMs(),
      hindrance?.passes ? SETTLING_MS : undefined,
    ].filter((ms) => ms !== undefined);
    return {
      changes,
      done,
      problems: [
        ...desired.problems.map(({ text }) => text),
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
    const actual = device && linkByName(this.#sockets.rtnl, device.name);
    const steps = device
      ? planDevice(device, actual, actual ? addresses(this.#sockets.rtnl, { index: actual.index }) : [])
      : [];
    const anew = steps.some(({ kind }) => kind === 'create' || kind === 'recreate');
    const ground = { deviceIndex: device && (actual?.index ?? 0), underlayIndex: state.underlay.index };
    const { entries, problems } = atOnce(desiredEntries(peerPlans(state), ground));
    const scope = { network: state.network, deviceIndex: anew ? undefined : actual?.index };
    const plan = planEntries(entries, atOnce(actualEntries(this.#sockets.rtnl, scope)));
    return {
      plan: [
        ...previewSettings(settingsOf(state)),
        ...previewDirectProbing(this.#sockets.rtnl, state),
        ...steps.map(({ kind, why }) => `${kind} ${device?.name}: ${why}`),
        ...describePlan({ ...plan, remove: state.complete ? plan.remove : [] }),
        ...(state.complete ? staleDevices(this.#sockets.rtnl, state) : []).map(
          ({ name }) => `remove ${name}: ${STALE}`,
        ),
      ],
      problems: problems.map(({ text }) => text),
    };
  }

  /** Of the direct way that nobody probes: a probed one is not taken before it answers. */
  #hindrance(state: OverlayState, { unproven }: Desired): Hindrance | undefined {
    if (state.network.family !== 'ipv6' || !(unproven || state.backend.type === 'direct')) return undefined;
    return this.#soliciting.hindrance(this.#sockets.rtnl, state.underlay);
  }

  #observeEntry(
    sighting: Sighting,
    message: NetlinkMessage,
    desired: ReadonlyMap<string, Entry>,
  ): Damage | undefined {
    const { id, entry, what } = sighting;
    const wanted = desired.get(id);
    // Nearly all notifications are of our own changes: what stands as it is known to.
    if (what === 'there' && entry === wanted && this.#mirror.entries.get(id) === entry) {
      this.#mirror.observe(sighting);
      return undefined;
    }
    this.#mirror.observe(sighting);
    this.#open.add(id);
    if (what === 'foreign gone') {
      if (!wanted || this.#mirror.entries.has(id)) return undefined;
      // What was in the way may have gone.
      this.#settled(id);
      return { reason: `foreign ${entry.kind} gone` };
    }
    if (!wanted) {
      if (what !== 'there') return undefined;
      if (entry.kind === 'fdb') this.#doubtForwarding(entry.mac, desired);
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

  /** An entry of another destination may have taken ours away, and of that the kernel says nothing (NLM_F_REPLACE). */
  #doubtForwarding(mac: string, desired: ReadonlyMap<string, Entry>): void {
    this.#forwarding ??= new Map(
      [...desired].flatMap(([id, entry]) => (entry.kind === 'fdb' ? [[entry.mac, id] as const] : [])),
    );
    const id = this.#forwarding.get(mac);
    if (id === undefined) return;
    this.#mirror.forget(id);
    this.#open.add(id);
  }

  /** Finds all that differs. */
  *#compare(desired: Desired): Steps<void> {
    const { entries } = desired;
    const actual = this.#mirror.entries;
    let count = 0;
    for (const [id, entry] of entries) {
      const over = actual.get(id);
      if (over !== entry && !(over && sameEntry(entry, over))) this.#open.add(id);
      if (++count % SOME === 0) yield;
    }
    for (const id of actual.keys()) {
      if (!entries.has(id)) this.#open.add(id);
      if (++count % SOME === 0) yield;
    }
    this.#compared = desired;
    this.#forwarding = undefined;
  }

  /**
   * What is open and due. `before`: what was desired before, where the kernel's state was known all along: what
   * stood then was undone by somebody. First what is missing, in the order in which it is desired (a peer's route
   * after what it leads to); then what is too much, routes first.
   */
  *#steps(
    desired: ReadonlyMap<string, Entry>,
    { complete, before }: { complete: boolean; before: ReadonlyMap<string, Entry> | undefined },
  ): Generator<Step> {
    const removals: Step[] = [];
    for (const id of inOrder(this.#open)) {
      const entry = desired.get(id);
      const over = this.#mirror.entries.get(id);
      if (entry ? over && sameEntry(entry, over) : !over) {
        this.#open.delete(id);
      } else if (entry) {
        this.#noteUndone(id, entry, before);
        if (this.#isDue(id)) yield { id, entry, verb: over ? 'change' : 'add', over };
      } else if (over && complete && this.#isDue(id)) {
        removals.push({ id, entry: over, verb: 'remove', over });
      }
    }
    const isRoute = ({ entry }: Step) => entry.kind === 'route';
    yield* removals.filter(isRoute);
    yield* removals.filter((step) => !isRoute(step));
  }

  /** An entry that was desired before too, and stood. */
  #noteUndone(id: string, entry: Entry, before: ReadonlyMap<string, Entry> | undefined): void {
    const was = before?.get(id);
    const stood = was && sameEntry(was, entry) && !this.#refusals.has(id) && !this.#undone.has(id);
    if (!stood) return;
    this.#contention.undone(id, entry, this.#seen.get(id));
    this.#undone.add(id);
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
    const stale = staleDevices(this.#sockets.rtnl, state);
    const refusals = this.#sockets.rtnl.attempt(stale.map(({ index }) => removeLink({ index })));
    for (const refusal of refusals) if (refusal && !failedWith(refusal, 'ENODEV')) throw refusal;
    this.#onlyDevice = wanted;
    return stale.map(({ name }) => `remove ${name}: ${STALE}`);
  }

  #ensureGround(state: OverlayState, done: string[]): Ground {
    if (!hasTunnel(state.backend)) {
      return { deviceIndex: undefined, underlayIndex: state.underlay.index };
    }
    const device = ensureDevice(this.#sockets.rtnl, desiredDevice(state));
    if (device.done.length) this.#mirror.invalidate();
    done.push(...device.done);
    return { deviceIndex: device.index, underlayIndex: state.underlay.index };
  }

  #isDue(id: string): boolean {
    return this.#backoff.isDue(id) && this.#contention.isDue(id);
  }
}

/** Of a few that happened to be noticed in any order, routes come last. */
function inOrder(ids: ReadonlySet<string>): readonly string[] {
  const all = [...ids];
  const isRoute = (id: string) => id.startsWith('r');
  return all.length > SOME ? all : [...all.filter((id) => !isRoute(id)), ...all.filter(isRoute)];
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
