/** Who has addresses, of whatever network. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../kernel/errno.ts';
import { NetworkDirectory } from './directory.ts';
import type { Owner } from './record.ts';

/**
 * One per address. A network whose name is too long for a directory's is left out: what is on record does not
 * say it.
 */
export function listOwners(runDir: string): (Owner & { readonly network: string })[] {
  return networksIn(runDir).flatMap((network) => {
    const directory = new NetworkDirectory(runDir, network);
    return directory.taken().flatMap((address) => {
      const record = directory.find(address)?.record;
      return record ? [{ network, containerId: record.containerId, ifname: record.ifname }] : [];
    });
  });
}

function networksIn(runDir: string): string[] {
  try {
    return readdirSync(join(runDir, 'ipam'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
