/** When pods may be made here: whoever waits for that is told, and runtimes find the plugin configured. */
import { formatCidr } from '../inet/cidr.ts';
import type { Log } from '../log/log.ts';
import { type Config, defaultRunDir } from './config/config.ts';
import { conflistDirectory, ensureConflist } from './conflist.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { Notifier } from './notify/notifier.ts';
import type { Health } from './serve/health/health.ts';

export interface ReadinessOptions {
  readonly config: Pick<Config, 'runDir' | 'stateDir'>;
  readonly health: Health;
  readonly log: Log;
  readonly notifier: Notifier;
}

/** What a pass left. */
export interface PassOutcome {
  /** What could not be reconciled, with the remedy. */
  readonly problems: readonly string[];
  /** Why some peers cannot be reached yet, where that passes by itself. */
  readonly settling: readonly string[];
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #reached = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Whether it has been, once. */
  get reached(): boolean {
    return this.#reached;
  }

  /** A pass is over, and the overlay of one family at least stands. */
  passed(holder: LeaseHolder, { problems, settling }: PassOutcome): void {
    const { health, log, notifier } = this.#options;
    const { peers, lease } = holder;
    const { phase } = holder.status;
    const count = peers.leases.size;
    const subnets = lease.subnets.map(formatCidr).join(' ');
    const status = `${subnets}, ${count} peers${problems.length ? `, ${problems.length} problems` : ''}`;
    // With the store away, the peers of before are all that will come: pods need not wait for it.
    if (!peers.complete && phase !== 'away') {
      notifier.status(`${status}, list of peers not complete`);
      return;
    }
    health.good('overlay');
    if (this.#reached) {
      notifier.status(status);
      return;
    }
    if (settling.length) {
      notifier.status(`${status}, ${settling.join(', ')}`);
      return;
    }
    this.#reached = true;
    this.#offerPods();
    holder.networkReady?.();
    notifier.ready(status);
    log.info('agent.ready', { peers: count });
  }

  /** The relay asks the agent that has the default runDir. */
  #offerPods(): void {
    const { config, log } = this.#options;
    if (config.runDir !== defaultRunDir) return;
    const outcome = ensureConflist({ directory: conflistDirectory, stateDir: config.stateDir });
    log.info('agent.conflist', { directory: conflistDirectory, outcome });
  }
}
