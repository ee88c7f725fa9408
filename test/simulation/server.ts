/**
 * etcd as the lease logic sees it: revisions, comparisons, leases that end late rather than early, watches with
 * a history that compaction cuts. It notes every write, for the invariants to be checked on.
 */
import { StoreError } from '../../agent/lease/errors.ts';
import {
  absent,
  type Snapshot,
  type StoreEvent,
  type StoreRecord,
  type Transaction,
} from '../../agent/lease/store/store.ts';
import type { World } from './world.ts';

interface Lease {
  readonly ttlSeconds: number;
  endsMs: number;
  heardMs: number;
  /** When its holder last renewed it: a renewal may arrive long after, even when its sender is no more. */
  renewedMs: number;
}

interface LogEntry {
  readonly revision: number;
  readonly events: readonly StoreEvent[];
}

export interface WriteNote {
  readonly key: string;
  readonly before: StoreRecord | undefined;
  readonly after: StoreRecord | undefined;
  /** Who asked; undefined: a hand, or the end of a lease. */
  readonly writer: string | undefined;
  readonly compared: boolean;
}

export class Server {
  readonly #world: World;
  readonly #onWrite: (note: WriteNote) => void;
  readonly records = new Map<string, StoreRecord>();
  readonly leases = new Map<string, Lease>();
  /** When each key was last deleted, in the world's time. */
  readonly deletedMs = new Map<string, number>();
  readonly #watchers = new Set<(entry: LogEntry) => void>();
  #log: LogEntry[] = [];
  #revision = 1;
  #compacted = 0;
  #leaseCount = 0;

  constructor(world: World, onWrite: (note: WriteNote) => void) {
    this.#world = world;
    this.#onWrite = onWrite;
  }

  list(): Snapshot {
    return { records: [...this.records.values()], cursor: String(this.#revision) };
  }

  read(keys: readonly string[]): StoreRecord[] {
    return keys.flatMap((key) => this.records.get(key) ?? []);
  }

  commit({ compare, write }: Transaction, writer: string | undefined): boolean {
    const holds = compare.every(({ key, version }) => (this.records.get(key)?.version ?? absent) === version);
    if (!holds) return false;
    for (const one of write) {
      if (one.type === 'put' && one.session !== undefined && !this.leases.has(one.session)) {
        throw new StoreError('away', 'requested lease not found');
      }
    }
    const compared = new Set(compare.map(({ key }) => key));
    const revision = write.length > 0 ? ++this.#revision : this.#revision;
    const events: StoreEvent[] = [];
    const notes: WriteNote[] = [];
    for (const one of write) {
      const before = this.records.get(one.key);
      if (one.type === 'delete' && !before) continue;
      const after =
        one.type === 'put'
          ? { key: one.key, value: one.value, version: String(revision), session: one.session }
          : undefined;
      notes.push({ key: one.key, before, after, writer, compared: compared.has(one.key) });
      events.push(after ? { type: 'put', record: after } : { type: 'delete', key: one.key });
    }
    // Judged against the state before the whole transaction.
    for (const note of notes) this.#onWrite(note);
    for (const { key, after } of notes) this.#set(key, after);
    this.#publish({ revision, events });
    return true;
  }

  grant(ttlSeconds: number): { session: string; ttlSeconds: number } {
    const session = `lease-${++this.#leaseCount}`;
    const { now } = this.#world;
    const lease = { ttlSeconds, endsMs: now + ttlSeconds * 1000, heardMs: now, renewedMs: now };
    this.leases.set(session, lease);
    this.#expireLater(session, lease);
    return { session, ttlSeconds };
  }

  keepAlive(session: string, sentMs: number): number {
    const lease = this.leases.get(session);
    if (!lease) return 0;
    lease.renewedMs = Math.max(lease.renewedMs, sentMs);
    lease.heardMs = this.#world.now;
    lease.endsMs = this.#world.now + lease.ttlSeconds * 1000;
    return lease.ttlSeconds;
  }

  silence(session: string): number | undefined {
    const lease = this.leases.get(session);
    return lease && Math.floor((this.#world.now - lease.heardMs) / 1000);
  }

  revoke(session: string): void {
    if (!this.leases.delete(session)) return;
    this.#endRecordsOf(session);
  }

  compact(): void {
    this.#compacted = this.#revision;
    this.#log = [];
  }

  /** A new leader gives every lease its whole term anew. */
  changeLeader(): void {
    for (const lease of this.leases.values()) lease.endsMs = this.#world.now + lease.ttlSeconds * 1000;
  }

  /** Calls back with what happened after the revision, then with what happens. Throws if that is compacted. */
  watch(cursor: string, onEntry: (entry: LogEntry) => void): () => void {
    const from = Number(cursor);
    if (from < this.#compacted) throw new StoreError('compacted', 'required revision has been compacted');
    for (const entry of this.#log) if (entry.revision > from) onEntry(entry);
    this.#watchers.add(onEntry);
    return () => this.#watchers.delete(onEntry);
  }

  #expireLater(session: string, lease: Lease): void {
    // The server looks now and then: a lease ends up to a second late.
    const lateMs = this.#world.random() * 1000;
    this.#world.after(lease.endsMs - this.#world.now + lateMs, () => {
      if (this.leases.get(session) !== lease) return;
      if (lease.endsMs > this.#world.now) return this.#expireLater(session, lease);
      this.leases.delete(session);
      this.#endRecordsOf(session);
    });
  }

  #endRecordsOf(session: string): void {
    const keys = [...this.records.values()].filter((record) => record.session === session);
    if (keys.length === 0) return;
    const revision = ++this.#revision;
    for (const { key } of keys) this.#set(key, undefined);
    this.#publish({ revision, events: keys.map(({ key }) => ({ type: 'delete', key })) });
  }

  #set(key: string, record: StoreRecord | undefined): void {
    if (record) this.records.set(key, record);
    else {
      this.records.delete(key);
      this.deletedMs.set(key, this.#world.now);
    }
  }

  #publish(entry: LogEntry): void {
    if (entry.events.length === 0) return;
    this.#log.push(entry);
    for (const watcher of [...this.#watchers]) watcher(entry);
  }
}
