/**
 * What the kernel has of ours, read without memory of an earlier life: on the VXLAN device every permanent
 * neighbour and forwarding entry, and every route of protocol 87 into the cluster network.
 */
import type { Cidr } from '../../inet/cidr.ts';
import { KernelError } from '../../kernel/errors.ts';
import { scanFdb } from '../../kernel/fdb.ts';
import { scanNeighbours } from '../../kernel/neighbour.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { RT_TABLE_MAIN, RTPROT_WEFT, scanRoutes } from '../../kernel/route.ts';
import { atOnce, type Steps } from '../../kernel/steps.ts';
import { DIRECT_TABLE, type Entry } from './entry.ts';
import { type Found, foundNeighbour, foundRoute, type Known } from './found.ts';

export interface ActualScope {
  readonly network: Cidr;
  /** Undefined where there is no VXLAN device. */
  readonly deviceIndex: number | undefined;
}

/** A table that changes while it is read is read again: so often with pauses, then without, then not any more. */
const PATIENT_READS = 3;
const READS = 20;
const EINTR = 4;

/** The entries of one family, by id. `known`: objects that stand for what is the same. */
export function* actualEntries(
  rtnl: Rtnl,
  { network, deviceIndex }: ActualScope,
  known: Known = () => undefined,
): Steps<Map<string, Entry>> {
  const { family } = network;
  const tables: Found[][] = [];
  for (const table of [RT_TABLE_MAIN, DIRECT_TABLE]) {
    const which = { family, protocol: RTPROT_WEFT, table };
    tables.push(
      yield* whole(
        (onBody) => scanRoutes(rtnl, which, onBody),
        (body) => foundRoute(body, network, known),
      ),
    );
  }
  if (deviceIndex !== undefined) {
    const read = (body: Buffer) => foundNeighbour(body, known);
    const which = { family, index: deviceIndex };
    tables.push(yield* whole((onBody) => scanNeighbours(rtnl, which, onBody), read));
    tables.push(yield* whole((onBody) => scanFdb(rtnl, deviceIndex, onBody), read));
  }
  const entries = new Map<string, Entry>();
  for (const table of tables) {
    for (const { id, entry } of table) entries.set(id, entry);
    yield;
  }
  return entries;
}

/** What is ours of a table. */
function* whole(
  scan: (onBody: (body: Buffer) => void) => Steps<boolean>,
  read: (body: Buffer) => Found | undefined,
): Steps<Found[]> {
  for (let attempt = 1; attempt <= READS; attempt++) {
    const all: Found[] = [];
    const steps = scan((body) => {
      const found = read(body);
      if (found?.ours) all.push(found);
    });
    if (attempt <= PATIENT_READS ? yield* steps : atOnce(steps)) return all;
  }
  throw new KernelError({
    errno: EINTR,
    attempted: 'read routes and neighbours',
    detail: `a table changed during each of ${READS} reads`,
  });
}
