/**
 * Which containers and volumes are a pod's. A label alone proves nothing: an image may carry any label, and one
 * that was committed from a pod's container carries the real ones. A container is ours if a file of stateDir
 * records its uid, and either its id, or the name that weft gives to a container with these labels (Docker's names
 * are unique). Pure.
 */
import type { PodKey } from '../manifest/key.ts';
import type { Recorded } from '../plan/recorded.ts';
import { containerName, type Labels, label, roleOf, sandboxPrefix, volumeName } from './labels.ts';

export interface Found {
  readonly id: string;
  /** As Docker lists them: with a leading slash. */
  readonly names: readonly string[];
  readonly labels: Labels;
}

export function isOurs({ id, names, labels }: Found, { key, uids, ids }: Recorded): boolean {
  const uid = labels[label.uid];
  if (labels[label.pod] !== key || uid === undefined || !uids.has(uid)) return false;
  return ids.has(id) || names.some((name) => hasNameOf(labels, name.replace(/^\//, ''), { key, uid }));
}

function hasNameOf(labels: Labels, name: string, { key, uid }: { key: PodKey; uid: string }): boolean {
  const role = roleOf(labels);
  if (role === undefined) return false;
  if (role === 'sandbox') {
    const prefix = sandboxPrefix(key);
    return name.startsWith(prefix) && /^[0-9a-f]+$/.test(name.slice(prefix.length));
  }
  const attempt = attemptOf(labels);
  return name === containerName({ key, name: labels[label.container] ?? '', attempt, uid });
}

/** 0 where the label is not a whole number. */
export function attemptOf(labels: Labels): number {
  const text = labels[label.attempt] ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

/** Whether weft created the volume for the pod of that uid. */
export const isOwnVolume = (name: string, uid: string): boolean =>
  name.startsWith(volumeName({ uid, name: '' }));
