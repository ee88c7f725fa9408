/**
 * For runtimes that neither DEL nor GC what died with its namespace: a veth pair goes when either end's
 * namespace does, so an attachment whose host end is not there has no sandbox any more. It is given up once two
 * looks apart say so, and no call is working on it.
 */
import * as link from '../../kernel/link.ts';
import { del } from './del.ts';
import type { Host } from './host.ts';
import { listRecords } from './record.ts';

/** Frees what attachments hold that were already dead at the last call. */
export async function sweep(host: Host): Promise<void> {
  const before = host.seenDead;
  // Records before links: an attachment on record that is being made has its link soon, not late.
  const records = listRecords(host.runDir);
  const present = new Set(link.links(host.rtnl).map(({ name }) => name));
  const dead = records.filter(({ attachment }) => attachment && !present.has(attachment.host.name));
  host.seenDead = new Set(dead.map(({ file }) => file));
  for (const { file, attachment } of dead) {
    if (attachment && before.has(file)) await del(host, attachment);
  }
}
