/** The lease protocol with this machine's clock, disk and store: what `main` calls. */

import { systemClock } from '../../clock/clock.ts';
import { readBootId } from '../../kernel/boot.ts';
import type { Log } from '../../log/log.ts';
import { type ReadLeaseFile, readLeaseFile, writeLeaseFile } from './disk/lease-file.ts';
import { LeaseFiles } from './disk/lease-files.ts';
import { ensureRun } from './disk/run.ts';
import { readSaved } from './disk/saved.ts';
import { type ClusterBackend, contradictions } from './flannel/cluster-config.ts';
import { flannelSubnetFile, readFlannelSubnets } from './flannel/subnet-file.ts';
import type { LeaseHolder, LeaseStatus } from './holder.ts';
import type { LeaseAttributes, LeaseNetwork } from './lease.ts';
import { LeaseKeeper } from './protocol/keeper.ts';
import type { SavedLease } from './protocol/standing.ts';
import type { LeaseStore } from './store/store.ts';
import { defaultTiming, type LeaseTiming } from './timing.ts';

export interface AcquireOptions {
  readonly store: LeaseStore;
  /** `id` is stable over reboots and unlike any other node's; `name` is for people. */
  readonly node: { readonly id: string; readonly name: string };
  readonly networks: readonly LeaseNetwork[];
  readonly backend: ClusterBackend;
  readonly attributes: LeaseAttributes;
  readonly runDir: string;
  readonly stateDir: string;
  readonly log: Log;
  readonly timing?: Partial<LeaseTiming>;
  /** Where flannel on this host left what it had. */
  readonly flannelSubnetFile?: string;
  /** What the search for a lease waits for; called until the signal fires. */
  readonly onStatus?: (status: LeaseStatus) => void;
  readonly signal: AbortSignal;
}

/**
 * Resolves with the lease once this node has one: from the store, or from before if the store is away. Throws
 * `LeaseError` where it cannot have one, `StoreError` `refused` where the store will not have us. While the
 * store is away and nothing is saved, it waits (and logs `store.away`). When the signal fires, the lease stays.
 */
export async function acquireLease(options: AcquireOptions): Promise<LeaseHolder> {
  const { store, node, runDir, stateDir } = options;
  // A search that has failed must not go on in the background.
  const life = new AbortController();
  const end = (): void => life.abort(options.signal.reason);
  if (options.signal.aborted) end();
  options.signal.addEventListener('abort', end, { once: true });
  const { signal } = life;
  const clock = systemClock;
  const boot = readBootId();
  const { log } = options;
  const published = readLeaseFile(runDir, boot);
  const onDisk = readSaved({ stateDir, boot, clock });
  for (const file of [published, onDisk]) {
    if (file.kind === 'unreadable') log.warn('lease.unreadable', { reason: file.reason });
  }
  const before = onDisk.kind === 'read' ? onDisk.saved : undefined;
  const saved = before && { ...before, deadlineMs: deadlineOf(before, published) };
  const had = before?.lease.key ?? (onDisk.kind === 'unreadable' ? onDisk.key : undefined);
  const run = ensureRun({ runDir, stateDir, boot });
  if (published.kind === 'read' && published.phase === 'left') {
    // Starting the agent means joining again: from here on, to be told to leave is news.
    const { key, deadlineMs } = published;
    writeLeaseFile(runDir, { key, deadlineMs, boot, phase: 'lost', reason: 'weftd has no lease yet' });
  }
  const files = new LeaseFiles({ runDir, stateDir, boot, clock, log, signal });
  const local = { networks: options.networks, backend: options.backend };
  const keeper: LeaseKeeper = new LeaseKeeper({
    store,
    clock,
    random: Math.random,
    log,
    timing: { ...defaultTiming, ...options.timing },
    us: {
      ...node,
      boot,
      run,
      attributes: options.attributes,
      hadGivenUp: published.kind === 'absent' || (published.kind === 'read' && published.phase === 'left'),
      had: [had, published.kind === 'read' ? published.key : undefined].filter((key) => key !== undefined),
      flannelHad: readFlannelSubnets(options.flannelSubnetFile ?? flannelSubnetFile),
    },
    local,
    // Whoever changed the network in weft.yaml does not want the lease of before.
    saved: saved && contradictions(local, saved.cluster).length === 0 ? saved : undefined,
    onSave: (when) => (when === 'now' ? files.save(keeper) : files.touch(keeper)),
    renounced: () => files.renounced,
    signal,
  });
  if (options.onStatus) keeper.watchStatus(options.onStatus, signal);
  try {
    await keeper.acquired;
  } catch (error) {
    end();
    await keeper.done.catch(() => undefined);
    throw error;
  }
  return keeper;
}

/** What was published for this boot is newer than what was saved; where it cannot be read, nothing is proven. */
function deadlineOf(saved: SavedLease, published: ReadLeaseFile): number {
  if (published.kind === 'unreadable') return 0;
  if (published.kind === 'absent' || published.key !== saved.lease.key) return saved.deadlineMs;
  return published.deadlineMs;
}
