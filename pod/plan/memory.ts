/** A pod's state besides its manifest and Docker's state: kept over restarts of the daemon, of Docker and the host. */
import type { Backoff } from './backoff.ts';
import type { Observed } from './observed.ts';

export interface Memory {
  /** Of the manifest that all of this is about. */
  readonly uid: string;
  /** Every ADD that was begun and has had no DEL. */
  readonly attachments: readonly AttachmentMemory[];
  /** The addresses that the pod had, to be requested again. */
  readonly addresses: readonly string[];
  /** By the container's name. */
  readonly containers: Readonly<Record<string, ContainerMemory>>;
  /** The sandbox cannot be made, or not be removed, at the moment. */
  readonly trouble: Trouble | undefined;
  /** All containers have ended, and none is to be started again. */
  readonly ended: 'Succeeded' | 'Failed' | undefined;
  /** Since when a container is being ended (milliseconds since the epoch), by its id. */
  readonly stopping: Readonly<Record<string, number>>;
}

export interface AttachmentMemory {
  readonly sandboxId: string;
  readonly startedAt: string;
  readonly network: string;
  /** False until ADD has succeeded. */
  readonly complete: boolean;
  /** Without their lengths. */
  readonly addresses: readonly string[];
}

export interface ContainerMemory {
  /** 0 for the first. */
  readonly attempt: number;
  /** Undefined until Docker has made it. */
  readonly id: string | undefined;
  readonly sandboxId: string;
  /** As Docker writes it, once it was seen running: another one is a life that weft did not start. */
  readonly startedAt?: string | undefined;
  readonly exit: Exit | undefined;
  /** It is to end, though it runs; its end counts as a failure with any exit status. */
  readonly condemned: { readonly reason: string; readonly graceSeconds: number | undefined } | undefined;
  readonly backoff: Backoff | undefined;
  /** It could not be made. */
  readonly trouble: Trouble | undefined;
  /** Its startup probe, if it has one, has succeeded. */
  readonly started: boolean;
  readonly ready: boolean;
}

export interface Exit {
  readonly code: number;
  readonly atMs: number;
  /** In a word, as Kubernetes has it: `Completed`, `Error`, `StartError`, `Removed`. */
  readonly reason: string;
  readonly message: string;
}

/** What failed: only an attempt of the same kind has to wait for it. */
export type TroubleReason = 'SandboxFailed' | 'NetworkNotReady' | 'NetworkNotReleased';

export interface Trouble {
  /** In a word: `ErrImagePull`, or a {@link TroubleReason}. */
  readonly reason: string;
  readonly message: string;
  /** Not before. */
  readonly untilMs: number;
  readonly delayMs: number;
}

export const emptyMemory = (uid: string): Memory => ({
  uid,
  attachments: [],
  addresses: [],
  containers: {},
  trouble: undefined,
  ended: undefined,
  stopping: {},
});

/** 128 and SIGKILL: what a container is taken to have ended with that was removed while it ran. */
const KILLED = 137;

/** Records what Docker reports of the containers. Pure. */
export function remember(memory: Memory, observed: readonly Observed[], nowMs: number): Memory {
  const own = observed.filter(({ uid, role }) => uid === memory.uid && role !== 'sandbox');
  const names = new Set([...Object.keys(memory.containers), ...own.map(({ name }) => name)]);
  const ids = new Set(observed.map(({ id }) => id));
  const containers = Object.fromEntries(
    [...names].flatMap((name) => {
      const latest = own.filter((each) => each.name === name).toSorted((a, b) => b.attempt - a.attempt)[0];
      const now = recall(memory.containers[name], latest, nowMs);
      return now ? [[name, now]] : [];
    }),
  );
  const stopping = Object.fromEntries(Object.entries(memory.stopping).filter(([id]) => ids.has(id)));
  return { ...memory, containers, stopping };
}

function recall(
  before: ContainerMemory | undefined,
  latest: Observed | undefined,
  nowMs: number,
): ContainerMemory | undefined {
  const known = adopted(before, latest);
  if (!known || known.exit || known.id === undefined) return known;
  if (latest?.id !== known.id) {
    const message = 'removed outside weft';
    return ended(known, { code: KILLED, atMs: nowMs, reason: 'Removed', message });
  }
  if (latest.state === 'running') {
    if (known.startedAt === undefined) return { ...known, startedAt: latest.startedAt };
    if (known.startedAt === latest.startedAt) return known;
    const message = 'restarted outside weft';
    return ended(known, { code: KILLED, atMs: nowMs, reason: 'Restarted', message });
  }
  if (latest.state === 'created') return known;
  const reason = latest.exitCode === 0 ? 'Completed' : 'Error';
  const message = known.condemned?.reason ?? `exit status ${latest.exitCode}`;
  return ended(known, { code: latest.exitCode, atMs: latest.finishedAtMs, reason, message });
}

/** A daemon may have died after it made a container, and before it recorded that. */
function adopted(
  before: ContainerMemory | undefined,
  latest: Observed | undefined,
): ContainerMemory | undefined {
  if (!latest || latest.id === before?.id || latest.attempt < (before?.attempt ?? 0)) return before;
  if (latest.state === 'created') return before;
  return {
    ...fresh({ attempt: latest.attempt, sandboxId: latest.sandboxId, backoff: before?.backoff }),
    id: latest.id,
  };
}

const ended = (known: ContainerMemory, exit: Exit): ContainerMemory => ({
  ...known,
  exit,
  started: false,
  ready: false,
});

/** A container that is about to be made. */
export const fresh = (of: {
  attempt: number;
  sandboxId: string;
  backoff: Backoff | undefined;
}): ContainerMemory => ({
  ...of,
  id: undefined,
  exit: undefined,
  condemned: undefined,
  trouble: undefined,
  started: false,
  ready: false,
});
