/** The container that a command means. */
import type { ContainerInfo } from 'dockerode';
import type { Docker } from '../docker/daemon.ts';
import { label } from '../docker/labels.ts';
import { PodError } from '../errors.ts';
import { keyOf, type Pod, titleOf } from '../manifest/pod.ts';

export interface Found {
  readonly id: string;
  readonly name: string;
  readonly isRunning: boolean;
}

/** Kubernetes' way to say which one is meant where nobody says. */
const defaultContainer = 'kubectl.kubernetes.io/default-container';

/** The name that is meant where `named` is undefined: the annotation's, else the first. */
export function containerNameOf(pod: Pod, named: string | undefined): string {
  const all = [...pod.containers, ...pod.initContainers].map(({ name }) => name);
  const name = named ?? pod.annotations[defaultContainer] ?? all[0] ?? '';
  if (all.includes(name)) return name;
  throw new PodError('unknown', `the pod ${titleOf(pod)} has no container ${name}, but ${all.join(', ')}`);
}

/**
 * The present container of that name, or the one before it.
 *
 * @throws PodError `unknown` where it has none (yet)
 */
export async function findContainer(
  docker: Docker,
  of: { readonly pod: Pod; readonly name: string; readonly previous?: boolean },
): Promise<Found> {
  const { pod, name, previous = false } = of;
  const filters = { label: [`${label.pod}=${keyOf(pod)}`, `${label.container}=${name}`] };
  const found = await docker.ask('list containers', (api) => api.listContainers({ all: true, filters }));
  const latest = found.toSorted((a, b) => attemptOf(b) - attemptOf(a))[previous ? 1 : 0];
  if (latest) return { id: latest.Id, name, isRunning: latest.State === 'running' };
  throw new PodError(
    'unknown',
    previous
      ? `the container ${name} of the pod ${titleOf(pod)} has not run before`
      : `the container ${name} of the pod ${titleOf(pod)} has not been started yet: weftctl pod ls tells why`,
  );
}

const attemptOf = ({ Labels }: ContainerInfo): number => Number(Labels[label.attempt] ?? 0);
