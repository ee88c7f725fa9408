/**
 * DEL: works from our own record by (network, container, interface); neither the namespace nor the
 * configuration is needed. Where the record is lost or cannot be read, names that follow from the key and the
 * addresses' own files lead to the same end.
 */

import { releaseHostLocal } from '../ipam/hostlocal.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import type { Host } from './host.ts';
import { namesOf } from './names.ts';
import { lockRecord } from './record.ts';
import { releaseHeld, teardownInterface, teardownLost, teardownRecorded } from './teardown.ts';

/**
 * Succeeds in any state, any number of times; afterwards nothing is left. `isMeant` is asked once no other call
 * works on the attachment: where it says no, nothing is done.
 */
export async function del(
  host: Host,
  key: AttachmentKey,
  isMeant: () => boolean = () => true,
): Promise<void> {
  const record = await lockRecord({ runDir: host.runDir, file: namesOf(key).file, create: false });
  if (!record) return isMeant() ? teardownUnrecorded(host, key) : undefined;
  try {
    if (!isMeant()) return;
    if (record.attachment) await teardownRecorded(host, record.attachment);
    else await teardownUnrecorded(host, key);
    record.remove();
  } finally {
    record.close();
  }
}

async function teardownUnrecorded(host: Host, key: AttachmentKey): Promise<void> {
  const name = namesOf(key).hostInterface;
  await teardownLost(host, { network: key.network, host: { name } });
  await teardownInterface(host, name);
  releaseHeld(host, key, host.hostLocalDir);
  releaseHostLocal(host.hostLocalDir, key);
}
