/**
 * A part of the host's network that weft reconciles: the overlay of one family, the bridges, the firewall. Every part
 * has the same shape, and a pass runs all parts even if one of them fails.
 *
 *     desired    what the dataplane should be: a function of leases, configuration and records
 *     dataplane  what the kernel has
 *     pending    the difference between the two
 */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Needs, Trigger } from './trigger.ts';

/** `State`: the input of a pass; each part derives its desired state from it. */
export interface Part<State> {
  /** For logs and problems: `overlay IPv4`. */
  readonly name: string;
  /** An rtnetlink notification. Returns why it makes a pass necessary; undefined where it does not. */
  observe?(message: NetlinkMessage): Trigger | undefined;
  /** Pending changes, as text. Reads the dataplane and changes nothing. */
  plan(state: State): Promise<PartPlan> | PartPlan;
  /** Plans and applies. May throw where nothing of the part can be done: the other parts run all the same. */
  reconcile(state: State, pass: Pass): Promise<PartOutcome> | PartOutcome;
}

export interface Pass extends Required<Needs> {
  readonly reasons: readonly string[];
  /** Names of the parts before this one that threw. */
  readonly failed: readonly string[];
}

export interface PartPlan {
  /** One pending change a line. */
  readonly steps: readonly string[];
  /** What cannot be reconciled, with the remedy. */
  readonly problems: readonly string[];
}

export interface PartOutcome {
  /** What was changed, one line each; the first of many. */
  readonly done: readonly string[];
  /** How much was changed, where `done` has not all of it. */
  readonly changes?: number;
  /** What could not be reconciled, with the remedy. */
  readonly problems: readonly string[];
  /** Why some peers cannot be reached yet, where that passes by itself. */
  readonly settling?: string | undefined;
  /** Milliseconds until the part should run again; undefined: when something happens. */
  readonly retryInMs?: number | undefined;
  /** Why another pass is due at once. */
  readonly again?: Trigger | undefined;
}

/** The shortest of some waits in milliseconds; undefined where there is none. */
export function earliest(waitsMs: Iterable<number | undefined>): number | undefined {
  const known = [...waitsMs].filter((wait) => wait !== undefined);
  return known.length ? Math.min(...known) : undefined;
}
