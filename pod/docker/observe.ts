/** What Docker has of our pods. */
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import { type PodKey, parseKey } from '../manifest/key.ts';
import type { Observed } from '../plan/observed.ts';
import type { Recorded } from '../plan/recorded.ts';
import type { Docker } from './daemon.ts';
import { type Labels, label, roleOf, stopOf } from './labels.ts';
import { attemptOf, type Found, isOurs } from './ownership.ts';

/** A container with weft's labels, as Docker lists it. */
export interface Labelled extends Found {
  /** Undefined where the label is not a key. */
  readonly key: PodKey | undefined;
}

/** Every container with the label of a pod, also those that weft did not create. */
export async function listLabelled(docker: Docker): Promise<Labelled[]> {
  const found = await list(docker, label.pod);
  return found.map((each) => ({ ...foundOf(each), key: parseKey(each.Labels[label.pod]) }));
}

/** Every container of a pod, the sandboxes among them. */
export async function observe(docker: Docker, recorded: Recorded): Promise<Observed[]> {
  const found = await list(docker, `${label.pod}=${recorded.key}`);
  const own = found.filter((each) => isOurs(foundOf(each), recorded));
  const inspected = await Promise.all(
    own.map(({ Id }) => docker.askIfThere('inspect a container', (api) => api.getContainer(Id).inspect())),
  );
  return inspected.flatMap((each) => (each ? (observedOf(each) ?? []) : []));
}

/** Of the pod's containers, those of one name; the latest first. */
export async function listOwn(docker: Docker, recorded: Recorded, name: string): Promise<ContainerInfo[]> {
  const found = await list(docker, `${label.pod}=${recorded.key}`);
  return found
    .filter((each) => each.Labels[label.container] === name && isOurs(foundOf(each), recorded))
    .toSorted((a, b) => attemptOf(b.Labels) - attemptOf(a.Labels));
}

const foundOf = ({ Id, Names, Labels }: ContainerInfo): Found & { labels: Labels } => ({
  id: Id,
  names: Names,
  labels: Labels,
});

const list = (docker: Docker, filter: string): Promise<ContainerInfo[]> =>
  docker.ask('list containers', (api) => api.listContainers({ all: true, filters: { label: [filter] } }));

function observedOf({ Id, State, Created, Config }: ContainerInspectInfo): Observed | undefined {
  const labels = Config.Labels;
  const role = roleOf(labels);
  if (!role) return undefined;
  return {
    id: Id,
    role,
    name: labels[label.container] ?? '',
    uid: labels[label.uid] ?? '',
    sandboxId: role === 'sandbox' ? Id : (labels[label.sandbox] ?? ''),
    attempt: attemptOf(labels),
    state: State.Running ? 'running' : State.Status === 'created' ? 'created' : 'exited',
    startedAt: State.StartedAt,
    createdAtMs: timeOf(Created),
    startedAtMs: timeOf(State.StartedAt),
    finishedAtMs: timeOf(State.FinishedAt),
    exitCode: State.ExitCode,
    pid: State.Pid,
    stop: stopOf(labels),
  };
}

/** Docker writes the year 1 for never. */
const timeOf = (text: string): number => Math.max(0, Date.parse(text) || 0);
