/**
 * Keeps the overlays of all families converged: listens to the kernel, and runs the same pass for whatever
 * happened.
 */
import { NetlinkMonitor, RTNLGRP } from '../../kernel/netlink/monitor.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { damageBy } from './damage.ts';
import { Overlay, type OverlayState } from './overlay.ts';
import { Reconciler } from './reconciler.ts';

export interface OverlayServiceOptions {
  readonly rtnl: Rtnl;
  /** What should be, as of now; called at the start of each pass, with what led to it. */
  readonly states: (reasons: readonly string[]) => Promise<readonly OverlayState[]>;
  /** The rest of the host's state that goes with the overlay (the firewall). */
  readonly also: (states: readonly OverlayState[]) => {
    readonly done: readonly string[];
    readonly problems: readonly string[];
  };
  readonly log: {
    info(fields: object, event: string): void;
    warn(fields: object, event: string): void;
    error(fields: object, event: string): void;
  };
  /** After each pass: what it was for, and what it could not have, in words. */
  readonly onPass: (states: readonly OverlayState[], problems: readonly string[]) => void;
  /** A pass that threw: nothing of the overlay can be promised. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** For what no notification tells of (accept_ra, a sysctl of br_netfilter's). */
const PERIOD_MS = 15_000;
/** Passes of one burst gather; a single event waits for nothing. */
const GAP_MS = 20;
/** What was changed is told line by line up to here, then as a number. */
const TOLD_LINES = 20;

export class OverlayService {
  readonly #options: OverlayServiceOptions;
  readonly #overlays = new Map<string, Overlay>();
  readonly #reconciler: Reconciler;
  #problems = '';

  constructor(options: OverlayServiceOptions) {
    this.#options = options;
    this.#reconciler = new Reconciler({
      pass: (reasons) => this.#pass(reasons),
      periodMs: PERIOD_MS,
      gapMs: GAP_MS,
      signal: options.signal,
      onError: (error) => {
        options.log.error({ err: error }, 'overlay.failed');
        options.onFailure(error);
      },
    });
  }

  /** Something happened: a pass is due. */
  trigger(reason: string): void {
    this.#reconciler.trigger(reason);
  }

  /** Listens to the kernel until the signal aborts; resolves then, rejects where listening itself fails. */
  async listen(): Promise<void> {
    const monitor = NetlinkMonitor.open(Object.values(RTNLGRP));
    await monitor.run(
      {
        onMessage: (message) => {
          for (const overlay of this.#overlays.values()) {
            const damage = overlay.watched && damageBy(message, overlay.watched);
            if (damage) this.trigger(damage);
          }
        },
        onOverrun: () => this.trigger('notifications lost'),
      },
      this.#options.signal,
    );
    await this.#reconciler.idle();
  }

  async #pass(reasons: readonly string[]): Promise<number | undefined> {
    const { states, also, log, onPass } = this.#options;
    const begun = performance.now();
    const now = await states(reasons);
    const done: string[] = [];
    const problems: string[] = [];
    const retries: number[] = [];
    for (const state of now) {
      const converged = await this.#overlay(state).converge(state);
      done.push(...converged.done);
      problems.push(...converged.problems);
      if (converged.retryInMs !== undefined) retries.push(converged.retryInMs);
    }
    const rest = also(now);
    done.push(...rest.done);
    problems.push(...rest.problems);
    if (done.length) {
      const tookMs = Math.round(performance.now() - begun);
      log.info({ reasons, changes: done.length, done: done.slice(0, TOLD_LINES), tookMs }, 'overlay.changed');
    }
    this.#tell(problems);
    onPass(now, problems);
    return retries.length ? Math.min(...retries) : undefined;
  }

  /** Once for each change in what is wrong, not once for each pass. */
  #tell(problems: readonly string[]): void {
    const text = problems.join('\n');
    if (text !== this.#problems && problems.length) this.#options.log.warn({ problems }, 'overlay.problems');
    this.#problems = text;
  }

  #overlay(state: OverlayState): Overlay {
    const { family } = state.network;
    const overlay = this.#overlays.get(family) ?? new Overlay(this.#options.rtnl);
    this.#overlays.set(family, overlay);
    return overlay;
  }
}
