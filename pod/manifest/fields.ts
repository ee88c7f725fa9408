/** The downward API: fields of a pod in the environment of its containers (`valueFrom.fieldRef`). */
import type { Pod } from './pod.ts';

export interface PodFacts {
  readonly pod: Pod;
  readonly uid: string;
  /** The first of each family comes first; empty if it has none. */
  readonly addresses: readonly string[];
  readonly nodeName: string;
  /** An address of this host by which the pod reaches it. */
  readonly hostAddress: string;
}

const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

const plain: Readonly<Record<string, (facts: PodFacts) => string>> = {
  'metadata.name': ({ pod }) => pod.name,
  'metadata.namespace': ({ pod }) => pod.namespace,
  'metadata.uid': ({ uid }) => uid,
  'spec.nodeName': ({ nodeName }) => nodeName,
  'status.hostIP': ({ hostAddress }) => hostAddress,
  'status.podIP': ({ addresses }) => addresses[0] ?? '',
  'status.podIPs': ({ addresses }) => addresses.join(','),
};

export const isKnownField = (path: string): boolean => Object.hasOwn(plain, path) || subscript.test(path);

/** The field's text; empty where the pod has none. */
export function fieldOf(path: string, facts: PodFacts): string {
  const [, kind, key] = subscript.exec(path) ?? [];
  if (kind !== undefined && key !== undefined) {
    return facts.pod[kind === 'labels' ? 'labels' : 'annotations'][key] ?? '';
  }
  return plain[path]?.(facts) ?? '';
}
