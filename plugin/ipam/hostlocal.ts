/**
 * host-local's allocations, read so that a node whose older pods were made by another plugin does not give
 * an address away twice (containernetworking/plugins, plugins/ipam/host-local/backend/disk):
 * `<dataDir>/<network>/<address>` holds the container's id and, unless it is of an old version, on a second line the
 * interface's name.
 *
 * What was last written before this boot has no sandbox any more and counts for nothing; the rest is taken
 * until the old plugin's DEL removes it, or ours for the same container and interface.
 */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Ip, parseIp } from '../../inet/ip.ts';
import { isOlderThanBoot } from '../../kernel/boot.ts';
import { isErrno } from '../../kernel/errno.ts';
import type { Owner } from './record.ts';

/** Addresses of any network of host-local's that are in use. */
export const hostLocalAddresses = (dataDir: string): Ip[] => liveFiles(dataDir).map(({ address }) => address);

/**
 * Frees what host-local recorded for a container's interface. To be called when the runtime deletes, through
 * us, an attachment that another plugin made: nobody else will come for it.
 */
export function releaseHostLocal(dataDir: string, owner: Owner): void {
  for (const { path } of liveFiles(dataDir)) {
    const [containerId, ifname = owner.ifname] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
    if (containerId === owner.containerId && ifname === owner.ifname) rmSync(path, { force: true });
  }
}

function liveFiles(dataDir: string): { address: Ip; path: string }[] {
  return list(dataDir).flatMap((network) =>
    list(join(dataDir, network)).flatMap((name) => {
      const address = parseIp(name);
      const path = join(dataDir, network, name);
      if (!address) return [];
      const written = statSync(path, { throwIfNoEntry: false });
      return written && !isOlderThanBoot(written.mtimeMs) ? [{ address, path }] : [];
    }),
  );
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
