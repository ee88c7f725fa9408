/** The store of a cluster on one machine: a folder that its agents share. See `folder.ts` for the layout. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../../clock/clock.ts';
import type { Steps } from '../../../../kernel/steps.ts';
import { inSlices } from '../../../slices.ts';
import { StoreError } from '../../errors.ts';
import { configKey } from '../../flannel/cluster-config.ts';
import {
  absent,
  type Granted,
  type LeaseStore,
  type Snapshot,
  type StoreRecord,
  type Transaction,
  type WatchItem,
} from '../store.ts';
import { Folder, isRecordName, recordFolders } from './folder.ts';
import { encode, type Session, Sessions } from './sessions.ts';
import { folderChanges } from './watch.ts';

export interface FileStoreOptions {
  readonly path: string;
  readonly clock: Clock;
  /** The kernel's boot id: heartbeats of another one are of no process that lives. */
  readonly boot: string;
  /** The folder is read this often even if nothing is notified. */
  readonly pollSeconds?: number;
}

/** Files between two places where others may have their turn. */
const SOME = 32;

/** Of each record once; of all together their sum is taken, so that a change costs no more than what changed. */
const prints = new WeakMap<StoreRecord, bigint>();

function printOf(record: StoreRecord): bigint {
  const known = prints.get(record);
  if (known !== undefined) return known;
  const { key, version, session } = record;
  const hash = createHash('sha1').update(`${key}\0${version}\0${session ?? ''}`);
  const print = BigInt(`0x${hash.digest('hex')}`);
  prints.set(record, print);
  return print;
}

export class FileStore implements LeaseStore {
  readonly description: string;
  readonly placement = 'lowest';
  readonly #folder: Folder;
  readonly #sessions: Sessions;
  readonly #pollSeconds: number;
  /** As last read by a list or the watch. */
  #records = new Map<string, StoreRecord>();
  #last: Snapshot | undefined;

  /** Makes the folder if it is missing; throws `StoreError` `refused` if that cannot be. */
  constructor(options: FileStoreOptions) {
    this.description = options.path;
    this.#folder = new Folder(options.path);
    this.#sessions = new Sessions(this.#folder, options.clock, options.boot);
    this.#pollSeconds = options.pollSeconds ?? 5;
    this.#folder.ensure();
  }

  list(signal: AbortSignal): Promise<Snapshot> {
    return this.#folder.locked(signal, () => inSlices(this.#readAll()));
  }

  read(keys: readonly string[], signal: AbortSignal): Promise<readonly StoreRecord[]> {
    return this.#folder.locked(signal, () => {
      const bound = this.#bound();
      return keys.flatMap((key) => this.#record(key, bound) ?? []);
    });
  }

  async *watch(cursor: string, signal: AbortSignal): AsyncGenerator<WatchItem> {
    let seen = cursor;
    yield { type: 'events', events: [], cursor };
    const watched = { folder: this.#folder, pollSeconds: this.#pollSeconds, signal };
    for await (const change of folderChanges(watched)) {
      const snapshot = await (change
        ? this.#folder.locked(signal, () => this.#readSome(change))
        : this.list(signal));
      if (snapshot.cursor === seen) continue;
      seen = snapshot.cursor;
      yield { type: 'list', ...snapshot };
    }
  }

  commit({ compare, write }: Transaction, signal: AbortSignal): Promise<boolean> {
    return this.#folder.locked(signal, () => {
      this.#endExpired();
      const holds = compare.every(
        ({ key, version }) => (this.#folder.read(key)?.version ?? absent) === version,
      );
      if (!holds) return false;
      const files = new Map<string, string | undefined>();
      for (const one of write) files.set(one.key, one.type === 'put' ? one.value : undefined);
      const binding = new Map(write.map((one) => [one.key, one.type === 'put' ? one.session : undefined]));
      for (const session of this.#sessions.all()) {
        const keys = session.keys.filter((key) => !binding.has(key));
        for (const [key, id] of binding) if (id === session.id) keys.push(key);
        if (keys.join('\n') !== session.keys.join('\n')) {
          files.set(`weft/sessions/${session.id}`, encode({ ...session, keys }));
        }
      }
      for (const id of binding.values()) {
        // etcd refuses it likewise: a record must not be bound to what has ended.
        if (id !== undefined && !this.#sessions.get(id)) {
          throw new StoreError('away', `${this.description}: session ${id} has ended`);
        }
      }
      if (files.size > 0) this.#folder.change(files);
      return true;
    });
  }

  grant(ttlSeconds: number, signal: AbortSignal): Promise<Granted> {
    return this.#folder.locked(signal, () => ({ session: this.#sessions.open(ttlSeconds).id, ttlSeconds }));
  }

  keepAlive(id: string, signal: AbortSignal): Promise<number> {
    return this.#folder.locked(signal, () => {
      this.#endExpired();
      const session = this.#sessions.get(id);
      if (session) this.#sessions.beat(id);
      return session?.ttlSeconds ?? 0;
    });
  }

  silence(id: string, signal: AbortSignal): Promise<number | undefined> {
    return this.#folder.locked(signal, () =>
      this.#sessions.get(id) ? this.#sessions.silentSeconds(id) : undefined,
    );
  }

  revoke(id: string, signal: AbortSignal): Promise<void> {
    return this.#folder.locked(signal, () => {
      const session = this.#sessions.get(id);
      if (session) this.#folder.change(this.#sessions.ending(session));
    });
  }

  close(): void {
    // Nothing is kept open between two calls.
  }

  /** Everything anew; files that have not changed are not read again. */
  *#readAll(): Steps<Snapshot> {
    this.#endExpired();
    const bound = this.#bound();
    const keys = recordFolders.flatMap((folder) =>
      this.#folder.names(folder).map((name) => `${folder}/${name}`),
    );
    const before = this.#records;
    this.#records = new Map();
    let count = 0;
    for (const key of [configKey, ...keys]) {
      const record = this.#record(key, bound, before.get(key));
      if (record) this.#records.set(key, record);
      if (++count % SOME === 0) yield;
    }
    return this.#snapshot();
  }

  /** What is known, and those of the records anew. */
  #readSome(names: ReadonlySet<string>): Snapshot {
    this.#endExpired();
    const bound = this.#bound();
    const keys = [...names].filter(isRecordName);
    // With a session goes what was bound to it.
    for (const [key, { session }] of this.#records) if (session !== bound.get(key)) keys.push(key);
    for (const key of keys) {
      const record = this.#record(key, bound, this.#records.get(key));
      if (record) this.#records.set(key, record);
      else this.#records.delete(key);
    }
    return keys.length === 0 && this.#last ? this.#last : this.#snapshot();
  }

  #snapshot(): Snapshot {
    const records = [...this.#records.values()];
    let print = 0n;
    for (const record of records) print ^= printOf(record);
    this.#last = { records, cursor: print.toString(36) };
    return this.#last;
  }

  /** The same object as `before` where nothing has changed. */
  #record(key: string, bound: ReadonlyMap<string, string>, before?: StoreRecord): StoreRecord | undefined {
    const file = this.#folder.read(key);
    if (!file) return undefined;
    const session = bound.get(key);
    if (before?.version === file.version && before.session === session) return before;
    return { key, value: file.value, version: file.version, session };
  }

  /** Key → session. */
  #bound(): Map<string, string> {
    return new Map(this.#sessions.all().flatMap(({ id, keys }) => keys.map((key) => [key, id] as const)));
  }

  #endExpired(): void {
    const ended: Session[] = this.#sessions.all().filter((session) => this.#sessions.hasEnded(session));
    for (const session of ended) this.#folder.change(this.#sessions.ending(session));
  }
}
