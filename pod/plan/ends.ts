/** Which containers have ended for good, and the pod with them. Pure. */
import { isSidecar, type Pod } from '../manifest/pod.ts';
import type { ContainerMemory, Memory } from './memory.ts';
import type { Observed } from './observed.ts';

export const hasFailed = ({ exit, condemned }: ContainerMemory): boolean =>
  exit !== undefined && (exit.code !== 0 || condemned !== undefined || exit.reason === 'Removed');

/** Whether a container that has ended stays so. */
export const isDone = (memory: ContainerMemory | undefined, { restartPolicy }: Pod): boolean =>
  memory?.exit !== undefined &&
  (restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && !hasFailed(memory)));

/** What the pod has ended as; undefined while something runs or is to run. */
export function endOf(
  pod: Pod,
  memory: Memory,
  sandbox: Observed | undefined,
): 'Succeeded' | 'Failed' | undefined {
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
