/**
 * DEL: works from our own record by (network, container, interface); neither the namespace nor the
 * configuration is needed. Where the record is lost or cannot be read, names that follow from the key and the
 * addresses' own files lead to the same end.
 */

import { releaseHostLocal } from '../ipam/hostlocal.ts';
import type { OpenedName } from '../protocol/call.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import type { Host } from './host.ts';
import { namesOf } from './names.ts';
import { type LockedRecord, lockRecord } from './record.ts';
import { releaseHeld, teardownInterface, teardownLost, teardownRecorded } from './teardown.ts';

/** Where host-local may have recorded the attachment, if another plugin made it. */
export interface HostLocalHint {
  /** ipam.dataDir; undefined: the default. */
  readonly dataDir: string | undefined;
  /** The same as the caller has opened it. */
  readonly opened: OpenedName | undefined;
}

/**
 * Succeeds in any state, any number of times; afterwards nothing is left. Also where there is no record one is
 * locked: else an ADD of the same attachment, in another process, could make what this takes away.
 */
export async function del(host: Host, key: AttachmentKey, hostLocal?: HostLocalHint): Promise<void> {
  const { file } = namesOf(key);
  const record = await lockRecord({ runDir: host.runDir, file, create: 'if-possible' });
  const dataDir = hostLocal?.dataDir ?? host.hostLocalDir;
  const hostLocalPath = host.hostLocalPath(dataDir, hostLocal?.opened);
  if (!record) return teardownUnrecorded(host, key, hostLocalPath);
  try {
    await takeAway(host, { key, record, hostLocalPath });
  } finally {
    record.close();
  }
}

/** The same for an attachment that is on record, whose lock is held; the record goes last. */
export async function takeAway(
  host: Host,
  options: { key: AttachmentKey; record: LockedRecord; hostLocalPath: string | undefined },
): Promise<void> {
  const { key, record, hostLocalPath } = options;
  if (record.attachment) await teardownRecorded(host, record.attachment);
  else await teardownUnrecorded(host, key, hostLocalPath);
  record.remove();
}

async function teardownUnrecorded(host: Host, key: AttachmentKey, hostLocalPath?: string): Promise<void> {
  const name = namesOf(key).hostInterface;
  await teardownLost(host, { network: key.network, host: { name } });
  await teardownInterface(host, name);
  releaseHeld(host, key, host.hostLocalDir);
  if (hostLocalPath !== undefined) releaseHostLocal(hostLocalPath, key);
}
