/**
 * One family's overlay: brings the kernel from whatever it is to what the peers ask for.
 *
 * Every trigger (a lease, a notification, a timer, a restart) runs the same `converge`: state → plan → apply
 * → verify, for the device, the host's settings, and the entries of each peer.
 */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import { type Damage, damageBy, everything, type Watched } from './damage.ts';
import { type Desired, type Ground, linkNames } from './desired.ts';
import { desiredDevice } from './device.ts';
import { KeptEntries } from './kept-entries.ts';
import { KeptGround } from './kept-ground.ts';
import { earliest } from './reconciler.ts';
import { sightingOf } from './sighting.ts';
import { type Hindrance, Soliciting } from './soliciting.ts';
import { StaleDevices } from './stale-devices.ts';
import type { OverlayState } from './state.ts';
import { Wanted } from './wanted.ts';

export interface Converged {
  /** How much was changed. */
  readonly changes: number;
  /** What was changed, in words; the first so many. Empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, in words that name the peer or the entry and a remedy. */
  readonly problems: readonly string[];
  /** What peers cannot be reached before, and what passes by itself, in words. */
  readonly settling: string | undefined;
  /** Why another pass is necessary at once; undefined where none is. */
  readonly damage: Damage | undefined;
  /** When the earliest failed entry may be tried again, in milliseconds from now; undefined: nothing failed. */
  readonly retryInMs: number | undefined;
}

const LINK_GONE = 'a link went while entries were set on it';
/** What settles by itself is looked at again so soon: not all of it is notified of. */
const SETTLING_MS = 250;

export interface OverlayOptions {
  /** How the host's settings are changed. */
  readonly set?: SetSysctl;
  /** A socket of the same namespace that nobody else uses: with it thousands of peers keep nobody waiting. */
  readonly bulk?: Rtnl;
}

export class Overlay {
  readonly #rtnl: Rtnl;
  readonly #ground: KeptGround;
  readonly #wanted = new Wanted();
  readonly #entries: KeptEntries;
  readonly #staleDevices: StaleDevices;
  readonly #soliciting = new Soliciting();
  #watched: Watched | undefined;

  constructor(rtnl: Rtnl, { set = ensureSysctl, bulk }: OverlayOptions = {}) {
    this.#rtnl = rtnl;
    this.#ground = new KeptGround(rtnl, set);
    this.#entries = new KeptEntries({ rtnl, bulk });
    this.#staleDevices = new StaleDevices(rtnl);
  }

  /** A notification. Answers why it makes a pass necessary; undefined where it does not. */
  observe(message: NetlinkMessage): Damage | undefined {
    if (!this.#watched) return undefined;
    const sighting = sightingOf(message, this.#watched, this.#entries.known);
    if (sighting) return this.#entries.observe(sighting, message.portId);
    const damage = damageBy(message, this.#watched);
    if (damage?.reread) this.#entries.invalidate();
    return damage && { ...damage, ground: true };
  }

  /** What is known of the kernel's tables may be wrong: the next pass reads them. */
  invalidate(): void {
    this.#entries.invalidate();
  }

  /**
   * Makes the kernel what the state asks for. Throws only where nothing at all can be done (no device).
   * `groundStands`: nothing was heard of device, settings and rules since they were last ensured.
   */
  async converge(state: OverlayState, { groundStands = false } = {}): Promise<Converged> {
    const { ground, done, shaken } = this.#ground.ensure(state, { stands: groundStands });
    if (shaken) this.#entries.invalidate();
    const desired = await this.#wanted.of(state, ground);
    this.#watched = watchedOf(state, ground);
    const entries = await this.#entries.converge(desired, {
      scope: { network: state.network, deviceIndex: ground.deviceIndex },
      complete: state.complete,
      names: linkNames(state, ground),
    });
    // Last of all, when no route leads to them any more.
    const removed = this.#staleDevices.ensureGone(state, entries.read);
    const hindrance = this.#hindrance(state, desired);
    const settles = hindrance?.passes === true;
    return {
      changes: done.length + entries.changes + removed.length,
      done: [...done, ...entries.done, ...removed],
      problems: [
        ...desired.problems.map(({ text }) => text),
        ...entries.problems,
        ...(hindrance && !settles ? [hindrance.text] : []),
      ],
      damage: entries.linkGone ? { reason: 'link gone', ...everything } : undefined,
      settling: entries.linkGone ? LINK_GONE : settles ? hindrance.text : undefined,
      retryInMs: earliest([entries.retryInMs, settles ? SETTLING_MS : undefined]),
    };
  }

  /** Of the direct way that nobody probes: a probed one is not taken before it answers. */
  #hindrance(state: OverlayState, { unproven }: Desired): Hindrance | undefined {
    if (state.network.family !== 'ipv6' || !(unproven || state.backend.type === 'direct')) return undefined;
    return this.#soliciting.hindrance(this.#rtnl, state.underlay);
  }
}

const watchedOf = (state: OverlayState, ground: Ground): Watched => ({
  network: state.network,
  deviceName: desiredDevice(state)?.name,
  deviceIndex: ground.deviceIndex,
  underlayName: state.underlay.name,
  underlayIndex: state.underlay.index,
  probesDirect: state.backend.type === 'auto',
});
