/** What the agent counts as it works. Read by `/metrics` when somebody asks. */
import type { LogEvent } from '../../log/events.ts';
import type { StoreObserver } from '../lease/store/counted-store.ts';
import type { PartResult } from '../reconcile/parts.ts';
import type { CallRecord } from '../serve/cni-server.ts';
import { Histogram } from './histogram.ts';

/** Seconds. A warm ADD takes 4 ms; a runtime gives up after minutes. */
const CALL_BOUNDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20];
/** Seconds. A pass that finds nothing takes less than 1 ms, 5000 peers from nothing half a second. */
const PASS_BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5];

/** Seconds. A folder answers within a millisecond, etcd within ten; a request is given up after seconds. */
const STORE_BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2, 10];

/** A caller chooses CNI_COMMAND: an unknown one must not become a label. */
const verbs: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']);

export class Counters implements StoreObserver {
  /** By verb. */
  readonly calls = new Map<string, Histogram>();
  /** Failed calls, by verb and error code: `ADD 11`. */
  readonly failures = new Map<string, number>();
  readonly passes = new Histogram(PASS_BOUNDS);
  /** Changes to the dataplane, and passes that a part ended with an error, by part. */
  readonly changes = new Map<string, number>();
  readonly errors = new Map<string, number>();
  /** Problems that the last pass left. */
  problems = 0;
  readonly events = new Map<LogEvent, number>();
  /** Requests to the store, by operation; failures as `list away`. */
  readonly requests = new Map<string, Histogram>();
  readonly requestFailures = new Map<string, number>();
  /** By cause. */
  readonly watchEnds = new Map<string, number>();

  called({ verb, code, waitedMs, workedMs }: CallRecord): void {
    const named = verbs.has(verb) ? verb : 'other';
    const histogram = this.calls.get(named) ?? new Histogram(CALL_BOUNDS);
    this.calls.set(named, histogram);
    histogram.observe((waitedMs + workedMs) / 1000);
    if (code !== undefined) increase(this.failures, `${named} ${code}`);
  }

  passed(results: readonly PartResult[], seconds: number): void {
    this.passes.observe(seconds);
    this.problems = 0;
    for (const { part, done, changes = done.length, problems, error } of results) {
      this.problems += problems.length;
      if (changes) increase(this.changes, part, changes);
      if (error !== undefined) increase(this.errors, part);
    }
  }

  requested(operation: string, seconds: number, failure: string | undefined): void {
    const histogram = this.requests.get(operation) ?? new Histogram(STORE_BOUNDS);
    this.requests.set(operation, histogram);
    histogram.observe(seconds);
    if (failure !== undefined) increase(this.requestFailures, `${operation} ${failure}`);
  }

  watchEnded(cause: string): void {
    increase(this.watchEnds, cause);
  }

  happened(event: LogEvent): void {
    increase(this.events, event);
  }
}

function increase<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
