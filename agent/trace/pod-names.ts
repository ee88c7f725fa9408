/** Pods of this node by what people call them: a name, with its namespace, the beginning of a container id. Pure. */
import { formatIp } from '../../inet/ip.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { distance } from '../../problem/words.ts';

type Named = Pick<Attachment, 'pod' | 'containerId' | 'addresses'>;

/** A shorter beginning of an id says too little. */
const LEAST_ID = 4;
const MOST_NEAR = 3;

export const podsNamed = <Pod extends Named>(pods: readonly Pod[], text: string): Pod[] =>
  pods.filter(
    ({ pod, containerId }) =>
      pod.name === text ||
      `${pod.namespace ?? 'default'}/${pod.name}` === text ||
      (text.length >= LEAST_ID && containerId.startsWith(text)),
  );

/** The names and addresses that are nearest to a text that is none of them. */
export function nearestPods(pods: readonly Named[], text: string): string[] {
  const known = pods.flatMap(({ pod, containerId, addresses }) => [
    ...addresses.map(({ address }) => formatIp(address)),
    ...(pod.name === undefined
      ? [containerId.slice(0, 12)]
      : [pod.name, `${pod.namespace ?? 'default'}/${pod.name}`]),
  ]);
  return [...new Set(known)]
    .map((name) => ({ name, far: distance(name, text) }))
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, MOST_NEAR)
    .map(({ name }) => name);
}
