/**
 * What the lease logic asks of a store. Modelled on etcd's own terms, so that etcd needs no translation:
 * records with versions, transactions that compare them, sessions (etcd: leases) that records die with, and a
 * watch that continues a list. Keys are relative to the cluster's prefix: `config`, `subnets/10.244.1.0-24`,
 * `weft/nodes/ID`.
 *
 * Every call throws `StoreError`; `away` leaves open whether a write was carried out.
 */

export interface StoreRecord {
  readonly key: string;
  readonly value: string;
  /** Differs after every write; compared for equality only. */
  readonly version: string;
  /** The session the record dies with; undefined: it stays (a reservation). */
  readonly session: string | undefined;
}

/** The version of a record that does not exist. */
export const absent = '';

export interface Snapshot {
  readonly records: readonly StoreRecord[];
  /** Where a watch continues; opaque. */
  readonly cursor: string;
}

export type StoreEvent =
  | { readonly type: 'put'; readonly record: StoreRecord }
  | { readonly type: 'delete'; readonly key: string };

/** What a watch delivers: changes since the last item, or everything anew. In order, none left out. */
export type WatchItem =
  | { readonly type: 'events'; readonly events: readonly StoreEvent[]; readonly cursor: string }
  | ({ readonly type: 'list' } & Snapshot);

export interface Transaction {
  /** All must hold, or nothing is written. */
  readonly compare: readonly { readonly key: string; readonly version: string }[];
  readonly write: readonly Write[];
}

export type Write =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      readonly session: string | undefined;
    }
  | { readonly type: 'delete'; readonly key: string };

export interface LeaseStore {
  /** Where it is, for messages: a path, or the endpoints. No secrets. */
  readonly description: string;
  /** Which free subnet a new node tries first: one store has many nodes joining at once, the other has readers. */
  readonly placement: 'lowest' | 'hashed';
  /** Everything under the prefix, at one moment. */
  list(signal: AbortSignal): Promise<Snapshot>;
  /** Those of the keys that exist, at one moment, not older than the call. */
  read(keys: readonly string[], signal: AbortSignal): Promise<readonly StoreRecord[]>;
  /**
   * What happened after `cursor`; ends with `StoreError`, or when the signal fires. The first item, with nothing
   * in it, says that the watch stands.
   */
  watch(cursor: string, signal: AbortSignal): AsyncIterable<WatchItem>;
  /** Whether the comparison held and the writes were made. */
  commit(transaction: Transaction, signal: AbortSignal): Promise<boolean>;
  /** Opens a session that ends `ttlSeconds` after its last keepalive. */
  grant(ttlSeconds: number, signal: AbortSignal): Promise<Granted>;
  /** Renews; answers for how many seconds it is good from the moment of asking, 0 if it has ended. */
  keepAlive(session: string, signal: AbortSignal): Promise<number>;
  /** Seconds since the session's last keepalive; undefined if it has ended. */
  silence(session: string, signal: AbortSignal): Promise<number | undefined>;
  /** Ends a session: its records go at once. */
  revoke(session: string, signal: AbortSignal): Promise<void>;
  /** This host has another address: connections from the one of before are of no use. */
  reconnect?(): void;
  close(): void;
}

export interface Granted {
  readonly session: string;
  readonly ttlSeconds: number;
}
