/** The status of a pod, in the words of `kubectl get pods`. Pure. */

import { isSidecar, type Pod } from '../manifest/pod.ts';
import { restartAt } from '../plan/backoff.ts';
import type { ContainerMemory, Memory } from '../plan/memory.ts';
import type { Observed } from '../plan/observed.ts';
import type { StartRole, Wanted } from '../plan/situation.ts';

export interface PodStatus {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Terminating';
  /** The phase, or what holds it up: `CrashLoopBackOff`, `Init:0/1`, `ErrImagePull`. */
  readonly reason: string;
  /** Why, in words; empty where all is well. */
  readonly message: string;
  /** Every container that is to run is ready. */
  readonly ready: boolean;
  /** Without their lengths; empty while it is on no network. */
  readonly addresses: readonly string[];
  readonly containers: readonly ContainerStatus[];
  /** The last that happened, oldest first. */
  readonly events: readonly PodEvent[];
}

export interface ContainerStatus {
  readonly name: string;
  readonly role: StartRole;
  readonly image: string;
  readonly id: string | undefined;
  readonly state: 'waiting' | 'running' | 'terminated';
  /** `Running`, `Completed`, `Error`, `CrashLoopBackOff`, `ContainerCreating`, ... */
  readonly reason: string;
  readonly message: string;
  readonly exitCode: number | undefined;
  readonly ready: boolean;
  /** Its startup probe, if it has one, has succeeded. */
  readonly started: boolean;
  readonly restarts: number;
  /** ISO 8601. */
  readonly startedAt: string | undefined;
}

export interface PodEvent {
  /** Increases over the daemon's life: two events may have the same text. */
  readonly number: number;
  /** ISO 8601. */
  readonly at: string;
  /** Of the manifest that it is about; absent in a status that an earlier version wrote. */
  readonly uid?: string;
  readonly text: string;
  readonly isFault: boolean;
}

export function statusOf(situation: {
  readonly wanted: Wanted;
  readonly observed: readonly Observed[];
  readonly memory: Memory;
  readonly events: readonly PodEvent[];
}): PodStatus {
  const { wanted, observed, memory, events } = situation;
  const { pod, uid } = wanted;
  const current = memory.uid === uid ? memory : undefined;
  const of = (given: 'init' | 'app') => (container: Pod['containers'][number]) =>
    containerStatus({
      role: isSidecar(container) ? 'sidecar' : given,
      container,
      known: current?.containers[container.name],
      observed,
    });
  const inits = pod.initContainers.map(of('init'));
  const apps = pod.containers.map(of('app'));
  const attachment = current?.attachments.find(({ complete }) => complete);
  return {
    namespace: pod.namespace,
    name: pod.name,
    uid,
    ...phaseOf({ wanted, memory: current, inits, apps }),
    ready: [...inits, ...apps].every(({ role, ready }) => role === 'init' || ready),
    addresses: attachment?.addresses.map(withoutLength) ?? [],
    containers: [...inits, ...apps],
    events,
  };
}

export const withoutLength = (address: string): string => address.split('/', 1)[0] ?? address;

function phaseOf(of: {
  wanted: Wanted;
  memory: Memory | undefined;
  inits: readonly ContainerStatus[];
  apps: readonly ContainerStatus[];
}): Pick<PodStatus, 'phase' | 'reason' | 'message'> {
  const { wanted, memory, inits, apps } = of;
  const trouble = memory?.trouble;
  if (wanted.removal) {
    return {
      phase: 'Terminating',
      reason: 'Terminating',
      message: trouble?.reason === 'NetworkNotReleased' ? trouble.message : '',
    };
  }
  if (memory?.ended) {
    const failed = [...inits, ...apps].find(
      ({ role, reason }) => role !== 'sidecar' && reason !== 'Completed',
    );
    const reason = memory.ended === 'Succeeded' ? 'Completed' : (failed?.reason ?? 'Error');
    return { phase: memory.ended, reason, message: failed?.message ?? '' };
  }
  const hasBegun = apps.some(({ id }) => id !== undefined);
  const phase = hasBegun ? 'Running' : 'Pending';
  if (trouble) return { phase, reason: trouble.reason, message: trouble.message };
  const stuckInit = inits.find(({ role, state, reason, started }) =>
    role === 'sidecar' ? !(state === 'running' && started) : state !== 'terminated' || reason !== 'Completed',
  );
  if (stuckInit && !hasBegun) {
    const done = inits.filter(({ role, reason, started }) =>
      role === 'sidecar' ? started : reason === 'Completed',
    ).length;
    const isPlain = ['ContainerCreating', 'Running'].includes(stuckInit.reason);
    const reason = isPlain ? `Init:${done}/${inits.length}` : `Init:${stuckInit.reason}`;
    return { phase, reason, message: stuckInit.message };
  }
  const stuck = [...inits.filter(({ role }) => role === 'sidecar'), ...apps].find(
    ({ state, reason }) => state !== 'running' && reason !== 'Completed',
  );
  return stuck
    ? { phase, reason: stuck.reason, message: stuck.message }
    : { phase, reason: apps.some(({ state }) => state === 'running') ? 'Running' : phase, message: '' };
}

function containerStatus(of: {
  role: StartRole;
  container: Pod['containers'][number];
  known: ContainerMemory | undefined;
  observed: readonly Observed[];
}): ContainerStatus {
  const { role, container, known, observed } = of;
  const seen = observed.find(({ id }) => id === known?.id);
  const base = {
    name: container.name,
    role,
    image: container.image,
    id: known?.id,
    exitCode: known?.exit?.code,
    ready: known?.ready ?? false,
    started: known?.started ?? false,
    restarts: known?.attempt ?? 0,
    startedAt: seen && seen.startedAtMs > 0 ? seen.startedAt : undefined,
  };
  if (known?.trouble) {
    return { ...base, state: 'waiting', reason: known.trouble.reason, message: known.trouble.message };
  }
  if (known?.exit) {
    const { reason, message, atMs } = known.exit;
    const waits = restartAt(known.backoff, atMs) > atMs;
    const said = reason === 'Completed' ? '' : `container ${container.name}: ${message}`;
    return waits
      ? { ...base, state: 'waiting', reason: 'CrashLoopBackOff', message: said }
      : { ...base, state: 'terminated', reason, message: said };
  }
  if (seen?.state === 'running') return { ...base, state: 'running', reason: 'Running', message: '' };
  return { ...base, state: 'waiting', reason: 'ContainerCreating', message: '' };
}
