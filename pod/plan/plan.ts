/**
 * Wanted and observed → the next actions. Pure: no clock, no Docker. A plan is one stage: it is carried out, the
 * pod is observed and planned again, until there is nothing to do. A kill, a removal outside weft, a restart of
 * Docker or of the daemon is a difference like any other.
 *
 * The order is the kubelet's (`computePodActions`): stop what runs outside the pod's sandbox, remove old
 * sandboxes, make a sandbox, run init containers one by one, run the containers.
 */

import { mustWait } from './backoff.ts';
import { runContainers } from './containers.ts';
import { endOf } from './ends.ts';
import type { TroubleReason } from './memory.ts';
import type { Observed } from './observed.ts';
import { type Action, nothing, type Plan, type Situation, type Wanted } from './situation.ts';
import { stopStrays } from './strays.ts';

export function planPod(situation: Situation): Plan {
  const { wanted, memory } = situation;
  const keeps = wanted && !wanted.removal ? wanted : undefined;
  const sandbox = keeps && !memory.ended ? presentSandbox(keeps, situation) : undefined;
  return (
    stopStrays(situation, sandbox) ??
    clearSandboxes(situation, sandbox) ??
    (keeps ? keep(keeps, sandbox, situation) : discardAll(situation))
  );
}

/** The one that runs with the network that it was given; another life of it has lost that. */
function presentSandbox({ uid }: Wanted, { observed, memory }: Situation): Observed | undefined {
  return observed
    .filter((each) => each.role === 'sandbox' && each.uid === uid && each.state === 'running')
    .filter((each) => {
      const attachment = memory.attachments.find(({ sandboxId }) => sandboxId === each.id);
      return !attachment || attachment.startedAt === each.startedAt;
    })
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs)[0];
}

function clearSandboxes(situation: Situation, sandbox: Observed | undefined): Plan | undefined {
  const { observed, memory } = situation;
  const old = observed.filter((each) => each.role === 'sandbox' && each !== sandbox);
  const owed = memory.attachments.filter(({ sandboxId }) => sandboxId !== sandbox?.id);
  if (old.length === 0 && owed.length === 0) return undefined;
  return (
    patience(situation, releasing) ?? {
      actions: [
        ...owed.map((attachment): Action => {
          const running = old.find(({ id, state }) => id === attachment.sandboxId && state === 'running');
          return { kind: 'detach', attachment, sandbox: running };
        }),
        ...old.map((container): Action => ({ kind: 'remove', container })),
      ],
      wakeAtMs: undefined,
    }
  );
}

const making: ReadonlySet<string> = new Set<TroubleReason>(['SandboxFailed', 'NetworkNotReady']);
const releasing: ReadonlySet<string> = new Set<TroubleReason>(['NetworkNotReleased']);

/** While an attempt of that kind has failed and may not yet be made again. A failure of another kind is the past's. */
function patience({ memory, nowMs }: Situation, kind: ReadonlySet<string>): Plan | undefined {
  const { trouble } = memory;
  if (!trouble || !kind.has(trouble.reason) || !mustWait(trouble.untilMs, nowMs)) return undefined;
  return { actions: [], wakeAtMs: trouble.untilMs };
}

function discardAll({ observed, memory }: Situation): Plan {
  const uids = new Set([...observed.map(({ uid }) => uid), memory.uid]);
  return {
    actions: [
      ...observed.map((container): Action => ({ kind: 'remove', container })),
      ...[...uids].map((uid): Action => ({ kind: 'dropVolumes', uid })),
      { kind: 'forget' },
    ],
    wakeAtMs: undefined,
  };
}

function keep(wanted: Wanted, sandbox: Observed | undefined, situation: Situation): Plan {
  const { observed, memory } = situation;
  const old = observed.filter(({ uid }) => uid !== wanted.uid);
  if (old.length > 0 || memory.uid !== wanted.uid) {
    const uids = new Set([...old.map(({ uid }) => uid), memory.uid].filter((uid) => uid !== wanted.uid));
    return {
      actions: [
        ...old.map((container): Action => ({ kind: 'remove', container })),
        ...[...uids].map((uid): Action => ({ kind: 'dropVolumes', uid })),
        { kind: 'adopt' },
      ],
      wakeAtMs: undefined,
    };
  }
  const surplus = surplusOf(situation);
  if (surplus.length > 0) {
    return {
      actions: surplus.map((container) => ({ kind: 'remove', container })),
      wakeAtMs: undefined,
    };
  }
  if (memory.ended) return nothing;
  const phase = endOf(wanted.pod, memory, sandbox);
  if (phase) return { actions: [{ kind: 'end', phase }], wakeAtMs: undefined };
  if (!sandbox) {
    return patience(situation, making) ?? { actions: [{ kind: 'makeSandbox' }], wakeAtMs: undefined };
  }
  if (!memory.attachments.some(({ complete }) => complete)) {
    return patience(situation, making) ?? { actions: [{ kind: 'attach', sandbox }], wakeAtMs: undefined };
  }
  return runContainers(wanted.pod, sandbox, situation);
}

/** Of each container the present one and the one before are kept, for their logs. */
function surplusOf({ observed, memory }: Situation): Observed[] {
  const ended = observed.filter(({ role, state }) => role !== 'sandbox' && state !== 'running');
  return Object.entries(memory.containers).flatMap(([name, { id }]) =>
    ended
      .filter((each) => each.name === name && each.id !== id)
      .toSorted((a, b) => b.attempt - a.attempt)
      .slice(1),
  );
}
