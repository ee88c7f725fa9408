/**
 * For runtimes that neither DEL nor GC what died with its namespace: a veth pair goes when either end's
 * namespace does, so an attachment whose host end is not there has no sandbox any more. It is given up once two
 * looks apart say so, and no call is working on it.
 */
import * as link from '../../kernel/link.ts';
import { listOwners } from '../ipam/owners.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import { del } from './del.ts';
import type { Host } from './host.ts';
import { hostInterfaceOf, namesOf } from './names.ts';
import { listRecords, lockRecord, type SeenRecord } from './record.ts';

/** Frees what attachments hold that were already dead at the last call. */
export async function sweep(host: Host): Promise<void> {
  const before = host.seenDead;
  // Records before links: an attachment on record that is being made has its link soon, not late.
  const records = listRecords(host.runDir);
  const present = new Set(link.links(host.rtnl).map(({ name }) => name));
  const dead = records.filter(({ file }) => !present.has(hostInterfaceOf(file)));
  host.seenDead = new Set(dead.map(({ file }) => file));
  for (const record of dead) if (before.has(record.file)) await giveUp(host, record);
}

/** Unless the container has been attached again meanwhile, under the same id. */
async function giveUp(host: Host, { file, attachment }: SeenRecord): Promise<void> {
  const isOver = () => link.linkByName(host.rtnl, hostInterfaceOf(file)) === undefined;
  const key = attachment ?? keyOf(host, file);
  if (key) await del(host, key, isOver);
  else await dropNameless(host, file, isOver);
}

/** Whose record it is that cannot be read: if it holds addresses, they say it. */
const keyOf = (host: Host, file: string): AttachmentKey | undefined =>
  listOwners(host.runDir).find((key) => namesOf(key).file === file);

async function dropNameless(host: Host, file: string, isOver: () => boolean): Promise<void> {
  const record = await lockRecord({ runDir: host.runDir, file, create: false });
  try {
    if (record && !record.attachment && isOver()) record.remove();
  } finally {
    record?.close();
  }
}
