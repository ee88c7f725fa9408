/** Whether the kernel's neighbour table has room for what this node talks to. Pure. */
import type { Family } from '../../inet/ip.ts';
import type { Finding } from './finding.ts';

/** Hosts on the underlay, the gateway and others, which nobody here counts. */
const OTHERS = 64;
/** Where so much of the limit is used, the next burst of pods overflows it. */
const FULL = 0.8;

/** Undefined where there is room, or the limit cannot be seen (NaN). */
export function tableLimit(table: {
  readonly family: Family;
  /** gc_thresh3. */
  readonly limit: number;
  /** Entries that count against it. */
  readonly used: number;
  readonly pods: number;
  /** Each on the underlay, with an entry of its own. */
  readonly peers: number;
}): Finding | undefined {
  const { family, limit, used, pods, peers } = table;
  const needed = pods + peers + OTHERS;
  if (!(Number.isFinite(limit) && (used > limit * FULL || needed > limit))) return undefined;
  const wanted = 2 ** Math.ceil(Math.log2(2 * Math.max(needed, used)));
  return {
    severity: 'warning',
    subject: `net.${family}.neigh.default.gc_thresh3`,
    found: `${limit}, with ${used} entries in use, ${pods} pods and ${peers} peers: when it is full, no pod is found`,
    wanted: `${wanted}`,
    remedy: `sysctl -w net.${family}.neigh.default.gc_thresh3=${wanted} (and gc_thresh2 below it)`,
  };
}
