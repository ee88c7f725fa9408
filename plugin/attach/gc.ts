/**
 * GC: what of a network is not listed as living goes: interfaces, addresses, what steps made, records (CNI
 * specification 1.1.0, GC). It goes on past what fails, and reports all of it.
 */

import { formatIp } from '../../inet/ip.ts';
import * as link from '../../kernel/link.ts';
import { CniError } from '../errors.ts';
import type { AttachmentKey, GcRequest } from '../protocol/request.ts';
import { del } from './del.ts';
import type { Host } from './host.ts';
import { aliasOf, aliasPrefix, hostInterfaceOf, namesOf } from './names.ts';
import { hasRecord, listRecords, lockRecord, readAttachments } from './record.ts';

export async function gc(host: Host, { network, validAttachments }: GcRequest): Promise<void> {
  const valid = new Set(validAttachments.map((key) => namesOf({ ...key, network }).file));
  // Links before records: an ADD that begins now writes its record before it makes its link.
  const links = link.links(host.rtnl).filter(({ alias }) => alias?.startsWith(aliasPrefix(network)));
  const records = listRecords(host.runDir);
  const failures: unknown[] = [];
  const attempt = async (block: () => void | Promise<void>) => {
    try {
      await block();
    } catch (error) {
      failures.push(error);
    }
  };
  for (const { file, attachment } of records) {
    if (attachment?.network === network && !valid.has(file)) await attempt(() => del(host, attachment));
  }
  const aliases = new Set([
    ...validAttachments.map((key) => aliasOf({ ...key, network })),
    ...records.flatMap(({ attachment }) => (attachment ? aliasOf(attachment) : [])),
  ]);
  const files = [...valid, ...records.map(({ file }) => file)];
  await attempt(() => sweepLinks(host, { links, files, aliases }));
  for (const { file, attachment } of records) {
    if (!attachment && !valid.has(file)) await attempt(() => dropUnreadable(host, network, file));
  }
  await attempt(() => sweepAddresses(host, network, valid));
  const live = () => readAttachments(host.runDir).filter((attachment) => attachment.network === network);
  for (const step of host.steps) await attempt(() => step.sweep?.(network, live));
  if (failures.length > 0) {
    throw new CniError('internal', `GC: ${failures.map((error) => CniError.of(error).message).join('; ')}`);
  }
}

/** Host ends by their alias, without a record. */
async function sweepLinks(
  host: Host,
  request: { links: readonly link.Link[]; files: readonly string[]; aliases: ReadonlySet<string> },
): Promise<void> {
  const { links, files, aliases } = request;
  const orphans = links.filter(
    ({ name, alias = '' }) => !files.some((file) => belongs(name, file)) && !aliases.has(alias),
  );
  if (orphans.length > 0) await host.removeLinks(orphans.map(({ index }) => index));
}

/**
 * A record that cannot be read does not say whose it is, but its name leads to its link, whose alias does: it
 * goes if the link is this network's, or is not there at all. Under its lock: one that was just made is empty too.
 */
async function dropUnreadable(host: Host, network: string, file: string): Promise<void> {
  const record = await lockRecord({ runDir: host.runDir, file, create: 'never' });
  try {
    if (!record || record.attachment) return;
    const found = link.linkByName(host.rtnl, hostInterfaceOf(file));
    if (found && !found.alias?.startsWith(aliasPrefix(network))) return;
    if (found) await host.removeLinks([found.index]);
    record.remove();
  } finally {
    record?.close();
  }
}

/** A host's end and a record of one attachment begin with the same digits. */
const belongs = (name: string, file: string): boolean =>
  name.startsWith('veth') && name.length > 4 && file.startsWith(name.slice(4));

/** Addresses without an attachment. Whether there is one is asked after the address's own record was read. */
function sweepAddresses(host: Host, network: string, valid: ReadonlySet<string>): void {
  const claimed = new Set(
    readAttachments(host.runDir)
      .filter((attachment) => attachment.network === network)
      .flatMap(({ addresses }) => addresses.map(({ address }) => formatIp(address))),
  );
  host.addresses(network, host.hostLocalDir).sweep((owner, address) => {
    if (owner === 'unreadable') return address !== undefined && claimed.has(formatIp(address));
    const key: AttachmentKey = { ...owner, network };
    return valid.has(namesOf(key).file) || hasRecord(host.runDir, key);
  });
}
