/**
 * What a row of probes amounts to, with the meaning that Kubernetes' probes have (pod v1, Probe): a target
 * counts as unreachable after so many failures in a row, and as reachable again after so many successes.
 */
import type { ProbesConfig } from '../config/config.ts';

export type ProbeTiming = ProbesConfig;

export interface Reachability {
  /** Undefined until the thresholds have first been met. */
  readonly reachable: boolean | undefined;
  /** How many of the newest probes in a row went as `lastOk` says. */
  readonly inARow: number;
  readonly lastOk: boolean | undefined;
}

export const unknownReachability: Reachability = { reachable: undefined, inARow: 0, lastOk: undefined };

/** The state after one more probe. */
export function afterProbe(state: Reachability, ok: boolean, timing: ProbeTiming): Reachability {
  const inARow = state.lastOk === ok ? state.inARow + 1 : 1;
  const threshold = ok ? timing.successThreshold : timing.failureThreshold;
  return { reachable: inARow >= threshold ? ok : state.reachable, inARow, lastOk: ok };
}
