/** GC's list of what lives (CNI specification 1.1.0, section 4 "GC"). */
import { CniError } from '../errors.ts';
import { Fields } from './fields.ts';
import type { AttachmentKey } from './request.ts';

/** The second is what an earlier text of the specification called it; libcni sends both. */
const keys = ['cni.dev/valid-attachments', 'cni.dev/attachments'];

/**
 * Undefined if no list is given. `null` is an empty list: CRI-O's library sends it for a network without
 * pods. An entry that names nothing is refused (code 7) before anything is removed.
 */
export function validAttachmentsOf(network: Fields): Omit<AttachmentKey, 'network'>[] | undefined {
  const key = keys.find((each) => network.has(each));
  return key === undefined ? undefined : network.list(key, decodeAttachment);
}

function decodeAttachment(value: unknown, path: string): Omit<AttachmentKey, 'network'> {
  const fields = Fields.of(value, path);
  const containerId = fields.string('containerID');
  const ifname = fields.string('ifname');
  if (containerId === undefined || ifname === undefined) {
    throw new CniError('invalid-config', `${path} must have a containerID and an ifname`);
  }
  return { containerId, ifname };
}
