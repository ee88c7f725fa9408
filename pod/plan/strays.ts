/** Containers that run and are not to run. Pure. */
import type { Observed } from './observed.ts';
import type { Plan, Situation } from './situation.ts';

/** Running containers that are not to run: the latest stages go first, so that sidecars outlive what they serve. */
export function stopStrays(situation: Situation, sandbox: Observed | undefined): Plan | undefined {
  const { wanted, observed } = situation;
  const strays = observed.flatMap((container) => {
    const reason = strayReason(container, sandbox, situation);
    return reason === undefined ? [] : [{ container, reason }];
  });
  if (strays.length === 0) return undefined;
  const first = Math.min(...strays.map(({ container }) => container.stop.stage));
  return {
    actions: strays
      .filter(({ container }) => container.stop.stage === first)
      .map(({ container, reason }) => ({
        kind: 'stop',
        container,
        graceSeconds: graceLeft(container, wanted?.removal?.graceSeconds, situation),
        reason,
      })),
    wakeAtMs: undefined,
  };
}

/** Undefined for a container that may run. */
function strayReason(
  { role, state, sandboxId, name, id, uid }: Observed,
  sandbox: Observed | undefined,
  { wanted, memory }: Situation,
): string | undefined {
  if (role === 'sandbox' || state !== 'running') return undefined;
  const desired = wanted && !wanted.removal ? wanted : undefined;
  if (!desired) return 'the pod is removed';
  if (!sandbox || sandboxId !== sandbox.id) {
    if (desired.uid !== memory.uid) return 'the manifest was changed';
    return memory.ended ? 'the pod has ended' : "the pod's sandbox is gone";
  }
  // Before `adopt` nothing is known of its containers.
  if (uid !== memory.uid) return undefined;
  const known = memory.containers[name];
  if (known?.id !== id) return 'another container has replaced it';
  return known.exit ? 'restarted outside weft' : undefined;
}

const leastGraceSeconds = 2;

/** A later stage has what the one before it left of the pod's grace. */
function graceLeft(
  { stop }: Observed,
  graceSeconds: number | undefined,
  { memory, observed, nowMs }: Situation,
): number {
  const whole = graceSeconds ?? stop.graceSeconds;
  if (whole === 0 || stop.stage === 0) return whole;
  const earlier = observed.filter((each) => each.stop.stage < stop.stage && each.state !== 'running');
  const begun = earlier
    .filter(({ name, id }) => memory.containers[name]?.id === id)
    .flatMap(({ id }) => memory.stopping[id] ?? []);
  if (begun.length === 0) return whole;
  return Math.max(leastGraceSeconds, whole - Math.max(0, nowMs - Math.max(...begun)) / 1000);
}
