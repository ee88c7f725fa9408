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
import {
  describesEntry,
  type KernelEntry,
  type Known,
  kernelNeighbour,
  kernelRoute,
} from './kernel-entry.ts';

export interface DataplaneScope {
  readonly network: Cidr;
  /** Undefined where there is no VXLAN device. */
  readonly deviceIndex: number | undefined;
}

/** A table that changes while it is read is read again: so often with pauses, then without, then not any more. */
const PATIENT_READS = 3;
const READS = 20;
const EINTR = 4;

/** What was found in each table, in the kernel's order. */
export type Tables = ReadonlyMap<string, readonly KernelEntry[]>;

/**
 * Reads the tables of one family. `known`: objects that stand for what is the same. `last`: what they held before;
 * a table that has not changed comes in the same order, and is that very list.
 */
export function* readTables(
  rtnl: Rtnl,
  { network, deviceIndex }: DataplaneScope,
  { known, last }: { readonly known: Known; readonly last: Tables },
): Steps<Tables> {
  const { family } = network;
  const tables = new Map<string, readonly KernelEntry[]>();
  const take = function* (name: string, scan: Scan, read: Read): Steps<void> {
    tables.set(name, yield* whole(scan, read, last.get(name) ?? []));
  };
  for (const table of [RT_TABLE_MAIN, DIRECT_TABLE]) {
    const which = { family, protocol: RTPROT_WEFT, table };
    const read: Read = (body) => kernelRoute(body, network, known);
    yield* take(`route ${table}`, (onBody) => scanRoutes(rtnl, which, onBody), read);
  }
  if (deviceIndex !== undefined) {
    const which = { family, index: deviceIndex };
    const read: Read = (body) => kernelNeighbour(body, known);
    yield* take('neighbour', (onBody) => scanNeighbours(rtnl, which, onBody), read);
    yield* take('fdb', (onBody) => scanFdb(rtnl, deviceIndex, onBody), read);
  }
  return tables;
}

/** The entries of all tables, by id. */
export function* entriesOf(tables: Tables): Steps<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for (const table of tables.values()) {
    for (const { id, entry } of table) entries.set(id, entry);
    yield;
  }
  return entries;
}

/** All at once, for a caller that reads only once. */
export const dataplaneEntries = (rtnl: Rtnl, scope: DataplaneScope): Map<string, Entry> =>
  atOnce(entriesOf(atOnce(readTables(rtnl, scope, { known: () => undefined, last: new Map() }))));

type Scan = (onBody: (body: Buffer) => void) => Steps<boolean>;

type Read = (body: Buffer) => KernelEntry | undefined;

/** What is ours of a table. */
function* whole(scan: Scan, read: Read, last: readonly KernelEntry[]): Steps<readonly KernelEntry[]> {
  for (let attempt = 1; attempt <= READS; attempt++) {
    const all: KernelEntry[] = [];
    const before = new Recall(last);
    const steps = scan((body) => {
      const found = before.recall(body) ?? read(body);
      if (found?.ours) all.push(found);
    });
    const isWhole = attempt <= PATIENT_READS ? yield* steps : atOnce(steps);
    if (isWhole) return all.length === last.length && all.every((found, i) => found === last[i]) ? last : all;
  }
  throw new KernelError({
    errno: EINTR,
    attempted: 'read routes and neighbours',
    detail: `a table changed during each of ${READS} reads`,
  });
}

/** Recognises an entry by its position in the previous dump. */
class Recall {
  readonly #last: readonly KernelEntry[];
  #next = 0;

  constructor(last: readonly KernelEntry[]) {
    this.#last = last;
  }

  /** Undefined where it is another one, or not in its place: the place of one that is gone is passed over. */
  recall(body: Buffer): KernelEntry | undefined {
    for (const at of [this.#next, this.#next + 1]) {
      const found = this.#last[at];
      if (!found || !describesEntry(found.entry, body)) continue;
      this.#next = at + 1;
      return found;
    }
    return undefined;
  }
}
