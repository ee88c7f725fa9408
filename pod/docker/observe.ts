/** What Docker has of our pods. */
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import type { Observed } from '../plan/observed.ts';
import type { Docker } from './daemon.ts';
import { label, roleOf, stopOf } from './labels.ts';

/** The pods, by key, of which Docker has anything. */
export async function listKeys(docker: Docker): Promise<Set<string>> {
  const found = await list(docker, label.pod);
  return new Set(found.flatMap(({ Labels }) => Labels[label.pod] ?? []));
}

/** Every container of a pod, the sandboxes among them. */
export async function observe(docker: Docker, key: string): Promise<Observed[]> {
  const found = await list(docker, `${label.pod}=${key}`);
  const inspected = await Promise.all(
    found.map(({ Id }) => docker.askIfThere('look at a container', (api) => api.getContainer(Id).inspect())),
  );
  return inspected.flatMap((each) => (each ? (observedOf(each) ?? []) : []));
}

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
    attempt: Number(labels[label.attempt] ?? 0),
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
