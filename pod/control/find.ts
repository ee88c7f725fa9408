/** The container that a command means. */
import type { Docker } from '../docker/daemon.ts';
import { listOwn } from '../docker/observe.ts';
import { PodError } from '../errors.ts';
import { type Pod, titleOf } from '../manifest/pod.ts';
import type { Recorded } from '../plan/recorded.ts';

export interface Found {
  readonly id: string;
  readonly name: string;
  readonly isRunning: boolean;
}

/** Kubernetes' annotation for the default container. */
const defaultContainer = 'kubectl.kubernetes.io/default-container';

/** The name that is meant where `named` is undefined: the annotation's, else the first. */
export function containerNameOf(pod: Pod, named: string | undefined): string {
  const all = [...pod.containers, ...pod.initContainers].map(({ name }) => name);
  const name = named ?? pod.annotations[defaultContainer] ?? all[0] ?? '';
  if (all.includes(name)) return name;
  throw new PodError(
    'unknown',
    `pod ${titleOf(pod)}: container ${name} not found (containers: ${all.join(', ')})`,
  );
}

/**
 * The present container of that name, or the one before it.
 *
 * @throws PodError `unknown` where it has none (yet)
 */
export async function findContainer(
  docker: Docker,
  of: {
    readonly pod: Pod;
    readonly recorded: Recorded;
    readonly name: string;
    readonly previous?: boolean;
  },
): Promise<Found> {
  const { pod, recorded, name, previous = false } = of;
  const latest = (await listOwn(docker, recorded, name))[previous ? 1 : 0];
  if (latest) return { id: latest.Id, name, isRunning: latest.State === 'running' };
  throw new PodError(
    'unknown',
    previous
      ? `pod ${titleOf(pod)}: container ${name} has no previous run`
      : `pod ${titleOf(pod)}: container ${name} has not started yet; run weftctl pod ls for the reason`,
  );
}
