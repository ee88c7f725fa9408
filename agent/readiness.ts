/** When pods can be made here: the service manager and runtimes are told so. */
import { after } from '../clock/after.ts';
import { formatCidr } from '../inet/cidr.ts';
import type { Log } from '../log/log.ts';
import { reasonOf } from '../problem/reason.ts';
import { nextDelay } from '../retry/backoff.ts';
import { type Config, defaultRunDir } from './config/config.ts';
import { type ConflistOutcome, conflistDirectory, ensureConflist } from './conflist.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { Notifier } from './notify/notifier.ts';
import type { Health } from './serve/health/health.ts';

export interface ReadinessOptions {
  readonly config: Pick<Config, 'runDir' | 'stateDir'>;
  readonly health: Health;
  readonly log: Log;
  readonly notifier: Notifier;
  readonly signal: AbortSignal;
}

/** What a pass left. */
export interface PassOutcome {
  /** What could not be reconciled, with the remedy. */
  readonly problems: readonly string[];
  /** Why some peers cannot be reached yet, where that passes by itself. */
  readonly settling: readonly string[];
}

const RETRY = { leastMs: 500, mostMs: 15_000 };
/** A configuration that somebody removed is put back by the first pass after so long. */
const CHECK_MS = 10_000;

export class Readiness {
  readonly #options: ReadinessOptions;
  #reached = false;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #outcome: ConflistOutcome | undefined;
  #retryMs: number | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#cancelRetry?.(), { once: true });
  }

  /** Whether it has been, once. */
  get reached(): boolean {
    return this.#reached;
  }

  /** A pass is over, and the overlay of one family at least stands. */
  passed(holder: LeaseHolder, { problems, settling }: PassOutcome): void {
    const { health, notifier } = this.#options;
    const { peers, lease } = holder;
    const { phase } = holder.status;
    const count = peers.leases.size;
    const subnets = lease.subnets.map(formatCidr).join(' ');
    const status = `${subnets}, ${count} peers${problems.length ? `, ${problems.length} problems` : ''}`;
    // While the store is unreachable, the saved peers are all that will come: pods need not wait for it.
    if (!peers.complete && phase !== 'away') {
      notifier.status(`${status}, list of peers not complete`);
      return;
    }
    health.good('overlay');
    if (!this.#reached && settling.length) {
      notifier.status(`${status}, ${settling.join(', ')}`);
      return;
    }
    // A node that has left, or lost its subnet, asks for no pods.
    if (phase === 'held' || phase === 'away') this.#offerPods(holder, status);
    if (this.#reached) notifier.status(status);
  }

  /** Puts the CNI configuration in place, and tries again where that fails; pods can be made from then on. */
  #offerPods(holder: LeaseHolder, status: string): void {
    const { config, health, log, notifier, signal } = this.#options;
    this.#cancelRetry?.();
    if (signal.aborted || !this.#isCheckDue()) return;
    try {
      this.#ensureConflist(config);
    } catch (error) {
      this.#retryMs = nextDelay(this.#retryMs, RETRY);
      this.#cancelRetry = after(this.#retryMs, () => this.#offerPods(holder, status));
      const text = `${reasonOf(error)}; runtimes make no pods without it`;
      health.bad('conflist', text);
      notifier.status(`${status}, ${text}`);
      log.warn('agent.conflistFailed', { err: error, retryMs: this.#retryMs });
      return;
    }
    health.good('conflist');
    this.#retryMs = undefined;
    this.#checkedMs = performance.now();
    if (this.#reached) return;
    this.#reached = true;
    holder.networkReady?.();
    notifier.ready(status);
    log.info('agent.ready', { peers: holder.peers.leases.size });
  }

  #isCheckDue(): boolean {
    return this.#retryMs !== undefined || performance.now() - this.#checkedMs >= CHECK_MS;
  }

  /** The relay asks the agent that has the default runDir. */
  #ensureConflist({ runDir, stateDir }: Pick<Config, 'runDir' | 'stateDir'>): void {
    if (runDir !== defaultRunDir) return;
    const outcome = ensureConflist({ directory: conflistDirectory, stateDir });
    if (outcome !== this.#outcome) {
      this.#options.log.info('agent.conflist', { directory: conflistDirectory, outcome });
    }
    this.#outcome = outcome;
  }
}
