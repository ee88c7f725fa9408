/**
 * Keeps the overlays of all families converged: listens to the kernel, and runs the same pass for whatever
 * happened.
 */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { RTNLGRP } from '../../kernel/netlink/open.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Log } from '../../log/log.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import { type Damage, everything, type Needs } from './damage.ts';
import { Overlay } from './overlay.ts';
import { earliest, Reconciler } from './reconciler.ts';
import type { OverlayState } from './state.ts';

export interface OverlayServiceOptions {
  readonly rtnl: Rtnl;
  /** Of the same namespace, used by nobody else: for what concerns thousands of peers. */
  readonly bulk: Rtnl;
  readonly setSysctl: SetSysctl;
  /** What should be, as of now; called at the start of each pass. `underlay`: which one it is may have changed. */
  readonly states: (pass: Required<Pick<Needs, 'underlay'>>) => Promise<readonly OverlayState[]>;
  /** The rest of the host's state that goes with the overlay (bridges, the firewall). */
  readonly also: (states: readonly OverlayState[], pass: Pass) => PassPart;
  /** Another eye on rtnetlink's notifications: why one makes a pass necessary. */
  readonly observe: (message: NetlinkMessage) => Damage | undefined;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** After each pass. */
  readonly onPass: (states: readonly OverlayState[], outcome: PassOutcome) => void;
  /** A pass that threw: nothing of the overlay can be promised. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export interface Pass {
  readonly reasons: readonly string[];
  /** Nothing that is remembered of the kernel's state may be relied on. */
  readonly whole: boolean;
}

export interface PassOutcome {
  /** What could not be had, in words. */
  readonly problems: readonly string[];
  /** What not all peers can be reached before, and what passes by itself, in words. */
  readonly settling: readonly string[];
}

/** What was changed and what could not be had, in words. */
export interface PassPart {
  readonly done: readonly string[];
  readonly problems: readonly string[];
  /** When it should be looked at again, in milliseconds from now; undefined: when something happens. */
  readonly retryInMs?: number | undefined;
}

/** For what no notification tells of (accept_ra, a sysctl of br_netfilter's). */
const PERIOD_MS = 15_000;
/** Notifications are relied on, and found out about once in so long if they should not have been. */
const WHOLE_PERIOD_MS = 300_000;
/** Passes of one burst gather; a single event waits for nothing. */
const GAP_MS = 20;
/** What was changed is told line by line up to here, then as a number. */
const TOLD_LINES = 20;

export class OverlayService {
  readonly #options: OverlayServiceOptions;
  readonly #overlays = new Map<string, Overlay>();
  readonly #reconciler: Reconciler;
  #needs: Required<Needs> = everything;
  #nextWholeMs = 0;
  #nextGroundMs = 0;
  #problems = '';

  constructor(options: OverlayServiceOptions) {
    this.#options = options;
    this.#reconciler = new Reconciler({
      pass: (reasons) => this.#pass(reasons),
      periodMs: PERIOD_MS,
      gapMs: GAP_MS,
      signal: options.signal,
      onError: (error) => {
        options.log.error('overlay.passFailed', { err: error });
        options.onFailure(error);
      },
    });
  }

  /** Something happened: a pass is due. */
  trigger(reason: string, needs: Needs = {}): void {
    this.#needs = {
      reread: this.#needs.reread || needs.reread === true,
      underlay: this.#needs.underlay || needs.underlay === true,
      ground: this.#needs.ground || needs.ground === true,
    };
    this.#reconciler.trigger(reason);
  }

  /** Listens to the kernel until the signal aborts; resolves then, rejects where listening itself fails. */
  async listen(): Promise<void> {
    const { observe, signal } = this.#options;
    const monitor = NetlinkMonitor.open(Object.values(RTNLGRP));
    await monitor.run(
      {
        onMessage: (message) => {
          for (const overlay of this.#overlays.values()) this.#heed(overlay.observe(message));
          this.#heed(observe(message));
        },
        onOverrun: () => this.trigger('notifications lost', everything),
      },
      signal,
    );
    await this.#reconciler.idle();
  }

  #heed(damage: Damage | undefined): void {
    if (damage) this.trigger(damage.reason, damage);
  }

  async #pass(reasons: readonly string[]): Promise<number | undefined> {
    const begunMs = performance.now();
    const due = begunMs >= this.#nextWholeMs;
    const ground = this.#needs.ground || begunMs >= this.#nextGroundMs;
    const needs = due ? everything : { ...this.#needs, ground };
    this.#needs = { reread: false, underlay: false, ground: false };
    try {
      const retryInMs = await this.#converge(reasons, needs);
      if (due) this.#nextWholeMs = begunMs + WHOLE_PERIOD_MS;
      if (needs.ground) this.#nextGroundMs = begunMs + PERIOD_MS;
      return retryInMs;
    } catch (error) {
      // What was not looked at again still has to be.
      this.#needs = everything;
      throw error;
    }
  }

  async #converge(reasons: readonly string[], needs: Required<Needs>): Promise<number | undefined> {
    const { states, also, log, onPass } = this.#options;
    const begunMs = performance.now();
    const now = await states(needs);
    const done: string[] = [];
    const problems: string[] = [];
    const settling: string[] = [];
    const retries: (number | undefined)[] = [];
    let changes = 0;
    for (const state of now) {
      const overlay = this.#overlay(state);
      if (needs.reread) overlay.invalidate();
      const converged = await overlay.converge(state, { groundStands: !needs.ground });
      this.#heed(converged.damage);
      changes += converged.changes;
      done.push(...converged.done);
      problems.push(...converged.problems);
      if (converged.settling !== undefined) settling.push(converged.settling);
      retries.push(converged.retryInMs);
    }
    const part = also(now, { reasons, whole: needs.reread });
    changes += part.done.length;
    done.push(...part.done);
    problems.push(...part.problems);
    retries.push(part.retryInMs);
    if (changes) {
      const tookMs = Math.round(performance.now() - begunMs);
      log.info('overlay.reconciled', { reasons, changes, done: done.slice(0, TOLD_LINES), tookMs });
    }
    this.#tell(problems);
    onPass(now, { problems, settling });
    return earliest(retries);
  }

  /** Once for each change in what is wrong, not once for each pass. */
  #tell(problems: readonly string[]): void {
    const text = problems.join('\n');
    if (text !== this.#problems && problems.length) this.#options.log.warn('overlay.problems', { problems });
    this.#problems = text;
  }

  #overlay(state: OverlayState): Overlay {
    const { family } = state.network;
    const overlay =
      this.#overlays.get(family) ??
      new Overlay(this.#options.rtnl, { set: this.#options.setSysctl, bulk: this.#options.bulk });
    this.#overlays.set(family, overlay);
    return overlay;
  }
}
