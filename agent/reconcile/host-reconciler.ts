/** Keeps the parts of the host's network reconciled: listens to rtnetlink, and runs the same pass for every trigger. */
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { RTNLGRP } from '../../kernel/netlink/open.ts';
import type { Log } from '../../log/log.ts';
import { earliest, type Part } from './part.ts';
import { type PartResult, Parts } from './parts.ts';
import { Scheduler } from './scheduler.ts';
import { bothNeeds, everything, type Needs, nothing, type Trigger } from './trigger.ts';

export interface HostReconcilerOptions<State> {
  /** In the order in which a pass runs them. */
  readonly parts: readonly Part<State>[];
  /** What the agent knows; called at the start of each pass. Asks nobody, so that nobody can delay a pass. */
  readonly state: (needs: Required<Needs>) => State | Promise<State>;
  /** After each pass. */
  readonly onPass: (state: State, results: readonly PartResult[], seconds: number) => void;
  /** `state` or `onPass` threw. */
  readonly onError: (error: unknown) => void;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly signal: AbortSignal;
}

/** For settings of which the kernel sends no notification (accept_ra, sysctls of br_netfilter). */
const PERIOD_MS = 15_000;
/** Everything is read again this often, in case a notification was missed. */
const WHOLE_PERIOD_MS = 300_000;
/** Passes of one burst gather; a single event waits for nothing. */
const GAP_MS = 20;
/** Changes are logged line by line up to this number. */
const LOGGED_LINES = 20;

export class HostReconciler<State> {
  readonly #options: HostReconcilerOptions<State>;
  readonly #parts: Parts<State>;
  readonly #scheduler: Scheduler;
  #needs: Required<Needs> = everything;
  #nextWholeMs = 0;
  #nextBaseMs = 0;
  /** As last logged. */
  #problems = '';

  constructor(options: HostReconcilerOptions<State>) {
    this.#options = options;
    this.#parts = new Parts(options.parts);
    this.#scheduler = new Scheduler({
      pass: (reasons) => this.#pass(reasons),
      periodMs: PERIOD_MS,
      gapMs: GAP_MS,
      signal: options.signal,
      onError: (error) => {
        options.log.error('reconcile.passFailed', { err: error });
        options.onError(error);
      },
    });
  }

  /** A pass is due. */
  trigger(reason: string, needs: Needs = {}): void {
    this.#needs = bothNeeds(this.#needs, needs);
    this.#scheduler.trigger(reason);
  }

  /** Listens to the kernel until the signal aborts; resolves then, rejects where listening itself fails. */
  async listen(): Promise<void> {
    const { parts, signal } = this.#options;
    const monitor = NetlinkMonitor.open(Object.values(RTNLGRP));
    await monitor.run(
      {
        onMessage: (message) => {
          for (const part of parts) this.#heed(part.observe?.(message));
        },
        onOverrun: () => this.trigger('notifications lost', everything),
      },
      signal,
    );
    await this.#scheduler.idle();
  }

  #heed(trigger: Trigger | undefined): void {
    if (trigger) this.trigger(trigger.reason, trigger);
  }

  async #pass(reasons: readonly string[]): Promise<number | undefined> {
    const begunMs = performance.now();
    const whole = begunMs >= this.#nextWholeMs;
    const base = this.#needs.base || begunMs >= this.#nextBaseMs;
    const needs = whole ? everything : { ...this.#needs, base };
    this.#needs = nothing;
    try {
      const retryInMs = await this.#run(reasons, needs);
      if (whole) this.#nextWholeMs = begunMs + WHOLE_PERIOD_MS;
      if (needs.base) this.#nextBaseMs = begunMs + PERIOD_MS;
      return retryInMs;
    } catch (error) {
      this.#needs = everything;
      throw error;
    }
  }

  async #run(reasons: readonly string[], needs: Required<Needs>): Promise<number | undefined> {
    const { state, onPass, log } = this.#options;
    const begunMs = performance.now();
    const now = await state(needs);
    const results = await this.#parts.reconcile(now, { ...needs, reasons });
    for (const { again } of results) this.#heed(again);
    const done = results.flatMap((result) => result.done);
    const changes = results.reduce((sum, result) => sum + (result.changes ?? result.done.length), 0);
    if (changes) {
      const tookMs = Math.round(performance.now() - begunMs);
      log.info('reconcile.changed', { reasons, changes, done: done.slice(0, LOGGED_LINES), tookMs });
    }
    this.#logProblems(results);
    onPass(now, results, (performance.now() - begunMs) / 1000);
    return earliest(results.map(({ retryInMs }) => retryInMs));
  }

  /** Once for each change in the problems, not once for each pass. */
  #logProblems(results: readonly PartResult[]): void {
    const problems = results.flatMap((result) => result.problems);
    const text = problems.join('\n');
    if (text !== this.#problems && problems.length) {
      const errors = results.flatMap(({ error }) => (error === undefined ? [] : [error]));
      this.#options.log.warn('reconcile.problems', {
        problems,
        ...(errors.length ? { err: errors[0] } : {}),
      });
    }
    this.#problems = text;
  }
}
