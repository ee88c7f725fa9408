/**
 * The overlay of one family. Every trigger (a lease, a notification, a timer, a restart) runs the same `reconcile`:
 * state → plan → apply → verify, for the device and the entries of each peer.
 */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { earliest, type PartOutcome } from '../reconcile/part.ts';
import { everything, type Trigger } from '../reconcile/trigger.ts';
import { type Desired, type EntryLinks, linkNames } from './desired.ts';
import { DesiredCache } from './desired-cache.ts';
import { desiredDevice } from './device.ts';
import { driftBy, type Watched } from './drift.ts';
import { KeptBase } from './kept-base.ts';
import { KeptEntries } from './kept-entries.ts';
import { mtuProblems } from './mtu.ts';
import { type NotifiedEntry, notifiedEntry } from './notified-entry.ts';
import { type Hindrance, Soliciting } from './soliciting.ts';
import { StaleDevices } from './stale-devices.ts';
import type { OverlayState } from './state.ts';

export interface Reconciled extends PartOutcome {
  /** How much was changed. */
  readonly changes: number;
}

const LINK_GONE = 'a link was removed while entries were set on it';
/** What settles by itself is checked again after this time: the kernel does not notify of all of it. */
const SETTLING_MS = 250;

export interface OverlayOptions {
  /** A socket of the same namespace for this alone: thousands of entries then do not block other work. */
  readonly bulk?: Rtnl;
}

export class Overlay {
  readonly #rtnl: Rtnl;
  readonly #base: KeptBase;
  readonly #desiredCache = new DesiredCache();
  readonly #entries: KeptEntries;
  readonly #staleDevices: StaleDevices;
  readonly #soliciting = new Soliciting();
  #watched: Watched | undefined;

  constructor(rtnl: Rtnl, { bulk }: OverlayOptions = {}) {
    this.#rtnl = rtnl;
    this.#base = new KeptBase(rtnl);
    this.#entries = new KeptEntries({ rtnl, bulk });
    this.#staleDevices = new StaleDevices(rtnl);
  }

  /** A notification. Answers why it makes a pass necessary; undefined where it does not. */
  observe(message: NetlinkMessage): Trigger | undefined {
    if (!this.#watched) return undefined;
    const notified = notifiedEntry(message, this.#watched, this.#entries.known);
    if (notified) {
      const trigger = this.#entries.observe(notified, message.portId);
      return trigger ?? foreignNetworkRoute(notified, this.#watched);
    }
    const drift = driftBy(message, this.#watched);
    if (drift?.reread) this.#entries.invalidate();
    return drift && { ...drift, base: true };
  }

  /** What is known of the kernel's tables may be wrong: the next pass reads them. */
  invalidate(): void {
    this.#entries.invalidate();
  }

  /**
   * Makes the dataplane the desired one. Throws only where nothing can be done (no device).
   * `baseUnchanged`: no notification concerned device, settings and rules since they were last ensured.
   */
  async reconcile(state: OverlayState, { baseUnchanged = false } = {}): Promise<Reconciled> {
    const { links, done, deviceChanged } = this.#base.ensure(state, { unchanged: baseUnchanged });
    if (deviceChanged) this.#entries.invalidate();
    const desired = await this.#desiredCache.of(state, links);
    this.#watched = watchedOf(state, links);
    const entries = await this.#entries.reconcile(desired, {
      scope: { network: state.network, deviceIndex: links.deviceIndex },
      complete: state.complete,
      names: linkNames(state, links),
    });
    // Last, when no route leads to them any more.
    const removed = this.#staleDevices.ensureGone(state, entries.read);
    const hindrance = this.#hindrance(state, desired);
    const settles = hindrance?.passes === true;
    return {
      changes: done.length + entries.changes + removed.length,
      done: [...done, ...entries.done, ...removed],
      problems: [
        ...mtuProblems(state),
        ...desired.problems.map(({ text }) => text),
        ...entries.problems,
        ...(hindrance && !settles ? [hindrance.text] : []),
      ],
      again: entries.linkGone ? { reason: 'link gone', ...everything } : undefined,
      settling: entries.linkGone ? LINK_GONE : settles ? hindrance.text : undefined,
      retryInMs: earliest([entries.retryInMs, settles ? SETTLING_MS : undefined]),
    };
  }

  /** For a direct way that is not probed: a probed one is used only after it has answered. */
  #hindrance(state: OverlayState, { unproven }: Desired): Hindrance | undefined {
    if (state.network.family !== 'ipv6' || !(unproven || state.backend.type === 'direct')) return undefined;
    return this.#soliciting.hindrance(this.#rtnl, state.underlay);
  }
}

/** Another program's route for the whole cluster network comes or goes: with it, weft's own is not desired. */
function foreignNetworkRoute({ entry, what }: NotifiedEntry, { network }: Watched): Trigger | undefined {
  if (what !== 'foreign' && what !== 'foreign gone') return undefined;
  const isNetwork = entry.kind === 'route' && entry.destination.length === network.length;
  return isNetwork ? { reason: 'route of the cluster network', base: true } : undefined;
}

const watchedOf = (state: OverlayState, links: EntryLinks): Watched => ({
  network: state.network,
  deviceName: desiredDevice(state)?.name,
  deviceIndex: links.deviceIndex,
  underlayName: state.underlay.name,
  underlayIndex: state.underlay.index,
  probesDirect: state.backend.type === 'auto',
});
