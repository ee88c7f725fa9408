/** Where `/metrics` reads from. What exists only once there is a lease is registered then. */
import type { GuardDrops } from '../firewall/guard-drops.ts';
import type { LeaseHolder } from '../lease/holder.ts';
import type { FamilyProbes } from '../probe/family-probes.ts';
import type { PodRecords } from '../records.ts';
import type { Health } from '../serve/health/health.ts';
import type { Counters } from './counters.ts';

export interface NetworkSources {
  readonly holder: LeaseHolder;
  readonly probes: FamilyProbes;
  readonly records: PodRecords;
  /** What the tunnel's guard dropped lately. */
  readonly guardDrops: () => GuardDrops;
  /** Names of the tunnel devices. */
  readonly devices: () => readonly string[];
}

export interface MetricSources {
  readonly health: Health;
  readonly counters: Counters;
  /** Whether each peer has metrics of its own: n nodes have n² of them. */
  readonly perPeer: boolean;
  network?: NetworkSources | undefined;
}
