/** What the files of a pod record of its containers. Pure. */
import type { PodKey } from '../manifest/key.ts';
import type { Memory } from './memory.ts';

export interface Recorded {
  readonly key: PodKey;
  /** Of the manifest that is wanted, and of the one before it while its containers are removed. */
  readonly uids: ReadonlySet<string>;
  /** Container ids, the sandboxes' included. */
  readonly ids: ReadonlySet<string>;
}

/** `wantedUid` undefined: there is no order; `memory` undefined: there is none yet. */
export function recordedOf(key: PodKey, wantedUid: string | undefined, memory: Memory | undefined): Recorded {
  const uids = [wantedUid, memory?.uid].filter((uid) => uid !== undefined && uid !== '');
  const containers = Object.values(memory?.containers ?? {}).flatMap(({ id }) => id ?? []);
  const sandboxes = (memory?.attachments ?? []).map(({ sandboxId }) => sandboxId);
  return { key, uids: new Set(uids as string[]), ids: new Set([...containers, ...sandboxes]) };
}
