/** A held lease, as the rest of the agent sees it. Made by `acquireLease`. */
import type { ClusterConfig } from './flannel/cluster-config.ts';
import type { Lease, LeaseAttributes, Peers } from './lease.ts';

/**
 * `held`: the store has confirmed it lately. `away`: the store does not answer; the deadline stands.
 * `lost`: the record is gone or another's; nothing new is claimed, and the same subnet is sought again.
 * `left`: given back by hand; nothing is sought until the agent is started anew.
 */
export type LeasePhase = 'held' | 'away' | 'lost' | 'left';

export interface LeaseStatus {
  readonly phase: LeasePhase;
  /** Until when the subnet is provably ours: milliseconds of CLOCK_BOOTTIME; 0 where it is not. */
  readonly deadlineMs: number;
  /** When the store last confirmed it: milliseconds of CLOCK_BOOTTIME; undefined: not since this start. */
  readonly confirmedMs: number | undefined;
  /** Why the phase is not `held`, and what to do; undefined where it is. */
  readonly reason: string | undefined;
}

export interface LeaseHolder {
  /** Ours; its subnets never change while the agent runs, its attributes do by `updateAttributes`. */
  readonly lease: Lease;
  /** What the whole cluster is configured with. */
  readonly cluster: ClusterConfig;
  readonly peers: Peers;
  readonly status: LeaseStatus;
  /** Of the Node that the subnets come from, where the store is Kubernetes. */
  readonly nodeUid?: string | undefined;
  /** To be called once the first pass over the kernel is complete, where others have to know of that. */
  networkReady?(): void;
  /** Shows a warning to whoever asks the cluster about this node, where there is a place for it. */
  publish?(event: { readonly reason: string; readonly message: string }): void;
  /** Resolves when the signal has fired and nothing runs any more; rejects on a fault of ours. */
  readonly done: Promise<void>;
  /** Calls back at once with the peers known so far, then on every change, until the signal fires. */
  watchPeers(onPeers: (peers: Peers) => void, signal: AbortSignal): void;
  /** Calls back whenever `status.phase`, its reason or the lease's attributes change. */
  watchStatus(onStatus: (status: LeaseStatus) => void, signal: AbortSignal): void;
  /** Tells the peers something new about this node; resolves once the store has it. Throws only when aborted. */
  updateAttributes(attributes: LeaseAttributes, signal: AbortSignal): Promise<void>;
  /** Gives the subnet back. The data path is the caller's. Throws `LeaseError` `not-held`, `StoreError`. */
  release(signal: AbortSignal): Promise<void>;
}
