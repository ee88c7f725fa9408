/** What Docker has of a pod, as values. */
import type { Handler } from '../manifest/pod.ts';

export type Role = 'sandbox' | 'init' | 'app';

export interface Observed {
  readonly id: string;
  readonly role: Role;
  /** The container's name in the manifest; of the sandbox `POD`. */
  readonly name: string;
  /** Of the manifest that it was made for. */
  readonly uid: string;
  /** The sandbox whose network it shares; its own id for a sandbox. */
  readonly sandboxId: string;
  readonly attempt: number;
  /** `created`: made and never started. */
  readonly state: 'created' | 'running' | 'exited';
  /** As Docker writes it: another one is another life, with another network namespace. */
  readonly startedAt: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly exitCode: number;
  /** In the host's numbering; 0 while it does not run. */
  readonly pid: number;
  readonly stop: StopOrder;
}

/** How a container is to be ended; written on it, so that it holds when its manifest is gone. */
export interface StopOrder {
  readonly graceSeconds: number;
  readonly preStop: Handler | undefined;
  /** Lower stages are ended first: 0 for containers, 1 for the last sidecar, and so on to the first. */
  readonly stage: number;
}
