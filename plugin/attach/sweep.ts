/**
 * For runtimes that neither DEL nor GC what died with its namespace: a veth pair goes when either end's
 * namespace does, so an attachment whose host end is not there has no sandbox any more. It is given up once two
 * looks apart say so, and no call is working on it.
 */
import * as link from '../../kernel/link.ts';
import { listOwners } from '../ipam/owners.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import { isHere } from './attachment.ts';
import { takeAway } from './del.ts';
import type { Host } from './host.ts';
import { hostEndOf } from './host-end.ts';
import { aliasOf, hostInterfaceOf, namesOf } from './names.ts';
import { listRecords, lockRecord, type SeenRecord } from './record.ts';

/** Frees what attachments hold that were already dead at the last call. */
export async function sweep(host: Host): Promise<void> {
  const before = host.seenDead;
  const dead = deadRecords(host);
  host.seenDead = new Set(dead.map(({ file }) => file));
  for (const record of dead) if (before.has(record.file)) await giveUp(host, record);
}

/**
 * For an ADD that needs what another attachment holds: frees at once what dead ones hold.
 * One that a call is working on is left alone. Returns whether there were any.
 */
export async function reclaim(host: Host): Promise<boolean> {
  const dead = deadRecords(host);
  for (const record of dead) await giveUp(host, record, { wait: false });
  return dead.length > 0;
}

function deadRecords(host: Host): SeenRecord[] {
  // Records before links: an attachment on record that is being made has its link soon, not late.
  const records = listRecords(host.runDir);
  const links = link.links(host.rtnl);
  const present = new Set(links.map(({ name }) => name));
  const aliases = new Set(links.map(({ alias }) => alias));
  const lives = ({ file, attachment }: SeenRecord) =>
    present.has(hostInterfaceOf(file)) ||
    // An operator may have renamed the host's end: its alias says whose it is.
    (attachment !== undefined && (!isHere(attachment) || aliases.has(aliasOf(attachment))));
  return records.filter((record) => !lives(record));
}

/** Unless the container has been attached again meanwhile, under the same id. */
async function giveUp(host: Host, { file }: SeenRecord, { wait = true } = {}): Promise<void> {
  const record = await lockRecord({ runDir: host.runDir, file, create: 'never', wait });
  if (!record) return;
  try {
    const { attachment } = record;
    if (link.linkByName(host.rtnl, hostInterfaceOf(file))) return;
    if (attachment && hostEndOf(host.rtnl, attachment)) return;
    const key = attachment ?? keyOf(host, file);
    const hostLocalPath = host.hostLocalPath(host.hostLocalDir, undefined);
    if (key) await takeAway(host, { key, record, hostLocalPath });
    else record.remove();
  } finally {
    record.close();
  }
}

/** Whose record it is that cannot be read: if it holds addresses, they say it. */
const keyOf = (host: Host, file: string): AttachmentKey | undefined =>
  listOwners(host.runDir).find((key) => namesOf(key).file === file);
