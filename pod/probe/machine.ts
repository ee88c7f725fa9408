/**
 * One probe of one container: the kubelet's state machine (`pkg/kubelet/prober/worker.go`, `doProbe`), without its
 * clock and without its network. Pure.
 */
import type { Probe, ProbeKind } from '../manifest/pod.ts';

export interface ProbeState {
  /** What holds: a startup probe's is unknown until it succeeds or gives up. */
  readonly result: 'unknown' | 'success' | 'failure';
  /** The last outcome, and how often it came in a row. */
  readonly last: 'success' | 'failure' | undefined;
  readonly run: number;
  /** It has condemned its container, or is not needed any more. */
  readonly over: boolean;
}

/** Before the first result a container is live, not ready, and perhaps started. */
const initial = { liveness: 'success', readiness: 'failure', startup: 'unknown' } as const;

export const beginning = (kind: ProbeKind): ProbeState => ({
  result: initial[kind],
  last: undefined,
  run: 0,
  over: false,
});

export interface ProbeMoment {
  readonly kind: ProbeKind;
  readonly probe: Probe;
  /** How long the container has been running. */
  readonly runningMs: number;
  /** Its startup probe, if it has one, has succeeded. */
  readonly started: boolean;
}

/** Whether the container is probed at this tick. */
export function isDue(state: ProbeState, { kind, probe, runningMs, started }: ProbeMoment): boolean {
  if (state.over || Math.floor(runningMs / 1000) < probe.initialDelaySeconds) return false;
  return kind === 'startup' ? !started : started;
}

/** Applies an outcome. `unknown` (the probe could not run) changes nothing. */
export function after(
  state: ProbeState,
  outcome: 'success' | 'failure' | 'unknown',
  { kind, probe }: Pick<ProbeMoment, 'kind' | 'probe'>,
): ProbeState {
  if (outcome === 'unknown' || state.over) return state;
  const run = state.last === outcome ? state.run + 1 : 1;
  const threshold = outcome === 'success' ? probe.successThreshold : probe.failureThreshold;
  if (run < threshold) return { ...state, last: outcome, run };
  const over = kind === 'startup' || (kind === 'liveness' && outcome === 'failure');
  return { result: outcome, last: outcome, run, over };
}

/** Whether the container has to go. */
export const condemns = (kind: ProbeKind, { result }: ProbeState): boolean =>
  kind !== 'readiness' && result === 'failure';
