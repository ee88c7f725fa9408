/** Which containers of a pod are probed, and what a verdict changes. */
import type { Order } from '../control/files.ts';
import { withoutLength } from '../control/status.ts';
import { environmentOf, expandedHandler } from '../manifest/environment.ts';
import { type Container, lastingOf } from '../manifest/pod.ts';
import type { Observed } from '../plan/observed.ts';
import type { Target, Verdict } from '../probe/probing.ts';
import { factsOf } from './containers.ts';
import type { Desk } from './desk.ts';

/** A pod that is being removed, or replaced, is not probed. */
export function targetsOf(desk: Desk, order: Order | undefined, observed: readonly Observed[]): Target[] {
  const { memory } = desk;
  const attachment = memory.attachments.find(({ complete }) => complete);
  if (!order || order.removal || order.uid !== memory.uid || !attachment) return [];
  const address = withoutLength(attachment.addresses[0] ?? '');
  return lastingOf(order.pod).flatMap((container) =>
    containerTargets(desk, container, { order, address, observed }),
  );
}

function containerTargets(
  desk: Desk,
  container: Container,
  of: { order: Order; address: string; observed: readonly Observed[] },
): Target[] {
  const { name, probes } = container;
  const { order, address, observed } = of;
  const known = desk.container(name);
  const seen = observed.find(({ id, state }) => id === known?.id && state === 'running');
  if (!known || !seen || known.condemned) return [];
  const variables = environmentOf(container, factsOf(desk, order));
  const kinds = known.started ? (['liveness', 'readiness'] as const) : (['startup'] as const);
  return kinds.flatMap((kind) => {
    const probe = probes[kind];
    const { id, startedAtMs } = seen;
    if (!probe) return [];
    const handler = expandedHandler(probe.handler, variables);
    return [{ container: name, id, kind, probe: { ...probe, handler }, startedAtMs, address }];
  });
}

/** Of a container that has ended meanwhile, or was replaced, a verdict changes nothing. */
export function recordVerdicts(desk: Desk, order: Order | undefined, verdicts: readonly Verdict[]): void {
  for (const { target, result, reason } of verdicts) {
    const { container } = target;
    const known = desk.container(container);
    if (known?.id !== target.id || known.exit) continue;
    if (target.kind === 'readiness') {
      desk.setContainer(container, { ...known, ready: result === 'success' });
      desk.tell(`container ${container} is ${result === 'success' ? 'ready' : `not ready: ${reason}`}`);
    } else if (result === 'failure') {
      const condemned = {
        reason: `${target.kind} probe failed: ${reason}`,
        graceSeconds: target.probe.graceSeconds,
      };
      desk.setContainer(container, { ...known, condemned, ready: false });
    } else if (target.kind === 'startup') {
      const ready = order !== undefined && !hasReadiness(order, container);
      desk.setContainer(container, { ...known, started: true, ready });
    }
  }
}

const hasReadiness = ({ pod }: Order, container: string): boolean =>
  lastingOf(pod).find(({ name }) => name === container)?.probes.readiness !== undefined;
