/** `weftctl pod ls`: the pods that are wanted, and their status. */
import { PodError } from '../errors.ts';
import { lastingOf, type Pod } from '../manifest/pod.ts';
import { PodFiles as Files, type Places, type PodFiles } from './files.ts';
import { keeperProblem } from './follow.ts';
import type { PodStatus } from './status.ts';

/** `status` is undefined where weft-podd has not written one yet. */
export interface Listed {
  readonly pod: Pod;
  readonly uid: string;
  readonly appliedAt: string;
  readonly status: PodStatus | undefined;
}

export interface Listing {
  readonly pods: readonly Listed[];
  /** A line for each pod whose file cannot be read. */
  readonly unreadable: readonly string[];
  /** Why nothing reconciles the pods at the moment: their status may be old. */
  readonly unkept: string | undefined;
}

export function listPods(places: Places): Listing {
  const files: PodFiles = new Files(places);
  const pods: Listed[] = [];
  const unreadable: string[] = [];
  for (const key of files.orderKeys().toSorted()) {
    try {
      const order = files.order(key);
      if (!order) continue;
      const { pod, uid, appliedAt } = order;
      const status = files.status(key);
      pods.push({ pod, uid, appliedAt, status: status?.uid === uid ? status : undefined });
    } catch (error) {
      if (!(error instanceof PodError) || error.code !== 'state') throw error;
      unreadable.push(error.message);
    }
  }
  const isEmpty = pods.length === 0 && unreadable.length === 0;
  return { pods, unreadable, unkept: isEmpty ? undefined : keeperProblem(files)?.message };
}

/** For programs. */
export const jsonOf = ({ pods, unreadable, unkept }: Listing): object => ({
  pods: pods.map(({ pod, uid, appliedAt, status }) => ({
    namespace: pod.namespace,
    name: pod.name,
    uid,
    appliedAt,
    phase: status?.phase ?? 'Pending',
    reason: status?.reason ?? 'Pending',
    message: status?.message ?? '',
    ready: status?.ready ?? false,
    addresses: status?.addresses ?? [],
    restarts: restartsOf(status),
    containers: status?.containers ?? [],
  })),
  ...(unreadable.length > 0 && { unreadable }),
  ...(unkept !== undefined && { unkept }),
});

const headings = ['NAMESPACE', 'NAME', 'READY', 'STATUS', 'RESTARTS', 'IP', 'AGE'] as const;

/** For people: a row each, and the problems below. */
export function tableOf(
  { pods, unreadable, unkept }: Listing,
  nowMs: number,
): { rows: string[][]; notes: string[] } {
  const rows = pods.map(({ pod, appliedAt, status }) => {
    const apps = status?.containers.filter(({ role }) => role !== 'init') ?? [];
    return [
      pod.namespace,
      pod.name,
      `${apps.filter(({ ready }) => ready).length}/${lastingOf(pod).length}`,
      status?.reason ?? 'Pending',
      String(restartsOf(status)),
      status?.addresses.join(',') || '-',
      ageOf(nowMs - Date.parse(appliedAt)),
    ];
  });
  const notes = pods.flatMap(({ pod, status }) =>
    status?.message ? [`${pod.name}: ${status.message}`] : [],
  );
  return { rows: [[...headings], ...rows], notes: [...notes, ...unreadable, ...(unkept ? [unkept] : [])] };
}

const restartsOf = (status: PodStatus | undefined): number =>
  status?.containers.reduce((sum, { restarts }) => sum + restarts, 0) ?? 0;

/** `45s`, `12m`, `7h`, `3d`, as kubectl has it. */
function ageOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
