/**
 * Wanted and observed → what is to be done next. Pure: no clock, no Docker. A plan is one stage: it is carried out,
 * the pod is looked at again, and planned again, until there is nothing to do. Whatever happened meanwhile (a kill, a
 * removal behind our back, a restart of Docker or of the agent) is a difference like any other.
 *
 * The order is the kubelet's (`computePodActions`): what runs outside of the pod's present sandbox goes first, then
 * old sandboxes, then there is a sandbox, then init containers one by one, then the containers.
 */
import type { Container, Pod } from '../manifest/pod.ts';
import { restartAt } from './backoff.ts';
import type { AttachmentMemory, ContainerMemory, Memory } from './memory.ts';
import type { Observed } from './observed.ts';

export interface Wanted {
  readonly pod: Pod;
  /** New with every manifest that differs from the one before. */
  readonly uid: string;
  readonly removal: Removal | undefined;
}

/** `graceSeconds` undefined: as the manifest says. */
export interface Removal {
  readonly graceSeconds: number | undefined;
}

export type Action =
  | {
      readonly kind: 'stop';
      readonly container: Observed;
      readonly graceSeconds: number;
      readonly reason: string;
    }
  | { readonly kind: 'detach'; readonly attachment: AttachmentMemory; readonly sandbox: Observed | undefined }
  | { readonly kind: 'remove'; readonly container: Observed }
  | { readonly kind: 'dropVolumes'; readonly uid: string }
  /** From here on the memory is about the manifest that is wanted. */
  | { readonly kind: 'adopt' }
  | { readonly kind: 'end'; readonly phase: 'Succeeded' | 'Failed' }
  | { readonly kind: 'makeSandbox' }
  | { readonly kind: 'attach'; readonly sandbox: Observed }
  | {
      readonly kind: 'start';
      readonly container: Container;
      readonly role: 'init' | 'app';
      readonly attempt: number;
      /** One has ended before it: the back-off counts. */
      readonly again: boolean;
      readonly sandbox: Observed;
    }
  /** Nothing is left: manifest and memory go. */
  | { readonly kind: 'forget' };

export interface Plan {
  readonly actions: readonly Action[];
  /** Something is to be done then, if nothing happens before. */
  readonly wakeAtMs: number | undefined;
}

export interface Situation {
  readonly wanted: Wanted | undefined;
  readonly observed: readonly Observed[];
  /** After `remember`. */
  readonly memory: Memory;
  readonly nowMs: number;
}

const nothing: Plan = { actions: [], wakeAtMs: undefined };

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

function stopStrays(situation: Situation, sandbox: Observed | undefined): Plan | undefined {
  const { wanted, observed, memory } = situation;
  const strays = observed.filter(
    ({ role, state, sandboxId }) =>
      role !== 'sandbox' && state === 'running' && (!sandbox || sandboxId !== sandbox.id),
  );
  if (strays.length === 0) return undefined;
  const isSame = wanted && !wanted.removal && wanted.uid === memory.uid;
  const reason = isSame
    ? "the pod's sandbox is gone"
    : wanted && !wanted.removal
      ? 'the manifest was changed'
      : 'the pod is removed';
  return {
    actions: strays.map((container) => ({
      kind: 'stop',
      container,
      graceSeconds: wanted?.removal?.graceSeconds ?? container.stop.graceSeconds,
      reason,
    })),
    wakeAtMs: undefined,
  };
}

function clearSandboxes(situation: Situation, sandbox: Observed | undefined): Plan | undefined {
  const { observed, memory } = situation;
  const old = observed.filter((each) => each.role === 'sandbox' && each !== sandbox);
  const owed = memory.attachments.filter(({ sandboxId }) => sandboxId !== sandbox?.id);
  if (old.length === 0 && owed.length === 0) return undefined;
  return (
    patience(situation) ?? {
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

/** While what was tried last may not yet be tried again. */
function patience({ memory, nowMs }: Situation): Plan | undefined {
  const { trouble } = memory;
  return trouble && trouble.untilMs > nowMs ? { actions: [], wakeAtMs: trouble.untilMs } : undefined;
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
    return patience(situation) ?? { actions: [{ kind: 'makeSandbox' }], wakeAtMs: undefined };
  }
  if (!memory.attachments.some(({ complete }) => complete)) {
    return patience(situation) ?? { actions: [{ kind: 'attach', sandbox }], wakeAtMs: undefined };
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

const hasFailed = ({ exit, condemned }: ContainerMemory): boolean =>
  exit !== undefined && (exit.code !== 0 || condemned !== undefined || exit.reason === 'Removed');

/** Whether a container that has ended stays so. */
const isDone = (memory: ContainerMemory | undefined, { restartPolicy }: Pod): boolean =>
  memory?.exit !== undefined &&
  (restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && !hasFailed(memory)));

/** What the pod has ended as; undefined while something runs or is to run. */
function endOf(pod: Pod, memory: Memory, sandbox: Observed | undefined): 'Succeeded' | 'Failed' | undefined {
  const { containers } = memory;
  const apps = pod.containers.map(({ name }) => containers[name]);
  if (apps.every((app) => isDone(app, pod)))
    return apps.some((app) => app && hasFailed(app)) ? 'Failed' : 'Succeeded';
  if (pod.restartPolicy !== 'Never') return undefined;
  const inits = pod.initContainers.map(({ name }) => containers[name]);
  if (inits.some((init) => init && hasFailed(init))) return 'Failed';
  // Its containers had begun, and would have to begin again.
  const hadBegun = [...inits, ...apps].some((each) => each?.id !== undefined);
  return !sandbox && hadBegun ? 'Failed' : undefined;
}

function runContainers(pod: Pod, sandbox: Observed, situation: Situation): Plan {
  const { memory } = situation;
  const present = (name: string): ContainerMemory | undefined => {
    const known = memory.containers[name];
    return known?.sandboxId === sandbox.id ? known : undefined;
  };
  const step = (role: 'init' | 'app') => (container: Container) =>
    nextStep(container, { role, pod, sandbox, situation });
  if (!pod.containers.some(({ name }) => present(name)?.id)) {
    const pending = pod.initContainers.find((container) => {
      const known = present(container.name);
      return !known?.exit || hasFailed(known);
    });
    if (pending) return step('init')(pending);
  }
  const steps = pod.containers.map(step('app'));
  const wakes = steps.flatMap(({ wakeAtMs }) => wakeAtMs ?? []);
  return {
    actions: steps.flatMap(({ actions }) => actions),
    wakeAtMs: wakes.length > 0 ? Math.min(...wakes) : undefined,
  };
}

function nextStep(
  container: Container,
  context: { role: 'init' | 'app'; pod: Pod; sandbox: Observed; situation: Situation },
): Plan {
  const { role, pod, sandbox, situation } = context;
  const { memory, observed, nowMs } = situation;
  const known = memory.containers[container.name];
  const start = (attempt: number, again: boolean): Plan => ({
    actions: [{ kind: 'start', container, role, attempt, again, sandbox }],
    wakeAtMs: undefined,
  });
  if (known?.trouble && known.trouble.untilMs > nowMs)
    return { actions: [], wakeAtMs: known.trouble.untilMs };
  if (!known) return start(0, false);
  if (role === 'app' && isDone(known, pod)) return nothing;
  if (known.sandboxId !== sandbox.id) return start(known.attempt + 1, false);
  if (known.id === undefined) return start(known.attempt, false);
  if (known.exit) {
    const atMs = restartAt(known.backoff, known.exit.atMs);
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
