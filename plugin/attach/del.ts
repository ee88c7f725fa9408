/**
 * DEL: works from our own record by (network, container, interface); neither the namespace nor the
 * configuration is needed. Where the record is lost or cannot be read, names that follow from the key and the
 * addresses' own files lead to the same end.
 */

import { releaseHostLocal } from '../ipam/hostlocal.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import type { Host } from './host.ts';
import { namesOf } from './names.ts';
import { type LockedRecord, lockRecord } from './record.ts';
import { releaseHeld, teardownInterface, teardownLost, teardownRecorded } from './teardown.ts';

/**
 * Succeeds in any state, any number of times; afterwards nothing is left. Also where there is no record one is
 * locked: else an ADD of the same attachment, in another process, could make what this takes away.
 */
export async function del(host: Host, key: AttachmentKey): Promise<void> {
  const { file } = namesOf(key);
  const record = await lockRecord({ runDir: host.runDir, file, create: 'if-possible' });
  if (!record) return teardownUnrecorded(host, key);
  try {
    await takeAway(host, key, record);
  } finally {
    record.close();
  }
}

/** The same for an attachment that is on record, whose lock is held; the record goes last. */
export async function takeAway(host: Host, key: AttachmentKey, record: LockedRecord): Promise<void> {
  if (record.attachment) await teardownRecorded(host, record.attachment);
  else await teardownUnrecorded(host, key);
  record.remove();
}

async function teardownUnrecorded(host: Host, key: AttachmentKey): Promise<void> {
  const name = namesOf(key).hostInterface;
  await teardownLost(host, { network: key.network, host: { name } });
  await teardownInterface(host, name);
  releaseHeld(host, key, host.hostLocalDir);
  releaseHostLocal(host.hostLocalDir, key);
}
