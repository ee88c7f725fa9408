/**
 * Wanted and observed → the next actions. Pure: no clock, no Docker. A plan is one stage: it is carried out, the pod is
 * observed and planned again, until there is nothing to do. A kill, a removal outside weft, a restart of Docker or of the
 * daemon is a difference like any other.
 *
 * The order is the kubelet's (`computePodActions`): stop what runs outside the pod's sandbox, remove old sandboxes, make
 * a sandbox, run init containers one by one, run the containers.
 */
import { type Container, isSidecar, type Pod } from '../manifest/pod.ts';
import { mustWait, restartAt } from './backoff.ts';
import type { AttachmentMemory, ContainerMemory, Memory, TroubleReason } from './memory.ts';
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
      readonly role: StartRole;
      readonly attempt: number;
      /** One has ended before it: the back-off counts. */
      readonly again: boolean;
      readonly sandbox: Observed;
    }
  /** Nothing is left: manifest and memory go. */
  | { readonly kind: 'forget' };

export type StartRole = 'init' | 'sidecar' | 'app';

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

/** Running containers that are not to run: the latest stages go first, so that sidecars outlive what they serve. */
function stopStrays(situation: Situation, sandbox: Observed | undefined): Plan | undefined {
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
  const inits = pod.initContainers.filter((each) => !isSidecar(each)).map(({ name }) => containers[name]);
  if (inits.some((init) => init && hasFailed(init))) return 'Failed';
  // Its containers had begun, and would have to begin again.
  const hadBegun = [...inits, ...apps].some((each) => each?.id !== undefined);
  return !sandbox && hadBegun ? 'Failed' : undefined;
}

/**
 * Init containers one after another, then the containers. A sidecar is an init container that keeps running: the next
 * one begins once it has started, and it is restarted whether or not the others run.
 */
function runContainers(pod: Pod, sandbox: Observed, situation: Situation): Plan {
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
