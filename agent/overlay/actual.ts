/**
 * What the kernel has of ours, read without memory of an earlier life: on the VXLAN device every permanent
 * neighbour and forwarding entry, and every route of protocol 87 into the cluster network.
 */
import { type Cidr, containsCidr } from '../../inet/cidr.ts';
import { fdbEntries } from '../../kernel/fdb.ts';
import { neighbours } from '../../kernel/neighbour.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { RT_TABLE_MAIN, RTPROT_WEFT, routes } from '../../kernel/route.ts';
import { DIRECT_TABLE, type Entry, entryOfRoute, idOf } from './entry.ts';

/** The entries of one family; `deviceIndex` undefined where there is no VXLAN device. */
export function actualEntries(
  rtnl: Rtnl,
  scope: { network: Cidr; deviceIndex: number | undefined },
): Map<string, Entry> {
  const entries: Entry[] = [RT_TABLE_MAIN, DIRECT_TABLE].flatMap((table) =>
    routeEntries(rtnl, scope.network, table),
  );
  const index = scope.deviceIndex;
  if (index !== undefined) {
    for (const { address, mac, permanent } of neighbours(rtnl, { family: scope.network.family, index })) {
      if (permanent && mac) entries.push({ kind: 'neighbour', index, address, mac });
    }
    for (const { mac, destination, permanent } of fdbEntries(rtnl, index)) {
      if (permanent) entries.push({ kind: 'fdb', index, mac, destination });
    }
  }
  return new Map(entries.map((entry) => [idOf(entry), entry]));
}

function routeEntries(rtnl: Rtnl, network: Cidr, table: number): Entry[] {
  return routes(rtnl, { family: network.family, protocol: RTPROT_WEFT, table }).flatMap((found) =>
    containsCidr(network, found.destination) && found.index !== undefined
      ? entryOfRoute({ ...found, index: found.index })
      : [],
  );
}
