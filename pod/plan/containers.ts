/** The containers of a pod that is on its network: which is started or ended next. Pure. */
import { type Container, isSidecar, type Pod } from '../manifest/pod.ts';
import { mustWait, restartAt } from './backoff.ts';
import { hasFailed, isDone } from './ends.ts';
import type { ContainerMemory } from './memory.ts';
import type { Observed } from './observed.ts';
import { nothing, type Plan, type Situation, type StartRole } from './situation.ts';

/**
 * Init containers one after another, then the containers. A sidecar is an init container that keeps running: the next
 * one begins once it has started, and it is restarted whether or not the others run.
 */
export function runContainers(pod: Pod, sandbox: Observed, situation: Situation): Plan {
  const { memory } = situation;
  const present = (name: string): ContainerMemory | undefined => {
    const known = memory.containers[name];
    return known?.sandboxId === sandbox.id ? known : undefined;
  };
  const step = (role: StartRole, container: Container) =>
    nextStep(container, { role, pod, sandbox, situation });
  const hasBegun = pod.containers.some(({ name }) => present(name)?.id);
  const steps: Plan[] = [];
  for (const container of pod.initContainers) {
    const known = present(container.name);
    if (isSidecar(container)) {
      steps.push(step('sidecar', container));
      if (!hasBegun && !known?.started) return allOf(steps);
    } else if (!hasBegun && (!known?.exit || hasFailed(known))) {
      return allOf([...steps, step('init', container)]);
    }
  }
  return allOf([...steps, ...pod.containers.map((container) => step('app', container))]);
}

function allOf(steps: readonly Plan[]): Plan {
  const wakes = steps.flatMap(({ wakeAtMs }) => wakeAtMs ?? []);
  return {
    actions: steps.flatMap(({ actions }) => actions),
    wakeAtMs: wakes.length > 0 ? Math.min(...wakes) : undefined,
  };
}

function nextStep(
  container: Container,
  context: { role: StartRole; pod: Pod; sandbox: Observed; situation: Situation },
): Plan {
  const { role, pod, sandbox, situation } = context;
  const { memory, observed, nowMs } = situation;
  const known = memory.containers[container.name];
  const start = (attempt: number, again: boolean): Plan => ({
    actions: [{ kind: 'start', container, role, attempt, again, sandbox }],
    wakeAtMs: undefined,
  });
  if (known?.trouble && mustWait(known.trouble.untilMs, nowMs))
    return { actions: [], wakeAtMs: known.trouble.untilMs };
  if (!known) return start(0, false);
  if (role === 'app' && isDone(known, pod)) return nothing;
  if (known.sandboxId !== sandbox.id) return start(known.attempt + 1, false);
  if (known.id === undefined) return start(known.attempt, false);
  if (known.exit) {
    const atMs = restartAt(known.backoff, known.exit.atMs, nowMs);
    return atMs > nowMs ? { actions: [], wakeAtMs: atMs } : start(known.attempt + 1, true);
  }
  const running = observed.find(({ id }) => id === known.id);
  if (!running || !known.condemned) return nothing;
  const { reason, graceSeconds = running.stop.graceSeconds } = known.condemned;
  return {
    actions: [{ kind: 'stop', container: running, graceSeconds, reason }],
    wakeAtMs: undefined,
  };
}
