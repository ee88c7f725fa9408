/** The store of a cluster on one machine: a folder that its agents share. See `folder.ts` for the layout. */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { configKey } from '../cluster-config.ts';
import { StoreError } from '../errors.ts';
import {
  absent,
  type Granted,
  type LeaseStore,
  type Snapshot,
  type StoreRecord,
  type Transaction,
  type WatchItem,
} from '../store.ts';
import { Folder, recordFolders } from './folder.ts';
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

export class FileStore implements LeaseStore {
  readonly description: string;
  readonly placement = 'lowest';
  readonly #folder: Folder;
  readonly #sessions: Sessions;
  readonly #pollSeconds: number;

  /** Makes the folder if it is missing; throws `StoreError` `refused` if that cannot be. */
  constructor(options: FileStoreOptions) {
    this.description = options.path;
    this.#folder = new Folder(options.path);
    this.#sessions = new Sessions(this.#folder, options.clock, options.boot);
    this.#pollSeconds = options.pollSeconds ?? 5;
    this.#folder.ensure();
  }

  list(signal: AbortSignal): Promise<Snapshot> {
    return this.#folder.locked(signal, () => this.#snapshot());
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
    for await (const _ of folderChanges({ folder: this.#folder, pollSeconds: this.#pollSeconds, signal })) {
      const snapshot = await this.list(signal);
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

  #snapshot(): Snapshot {
    this.#endExpired();
    const bound = this.#bound();
    const keys = recordFolders.flatMap((folder) =>
      this.#folder.names(folder).map((name) => `${folder}/${name}`),
    );
    const records = [configKey, ...keys].flatMap((key) => this.#record(key, bound) ?? []);
    const hash = createHash('sha1');
    for (const { key, version, session } of records) hash.update(`${key}\0${version}\0${session ?? ''}\n`);
    return { records, cursor: hash.digest('base64url') };
  }

  #record(key: string, bound: ReadonlyMap<string, string>): StoreRecord | undefined {
    const file = this.#folder.read(key);
    return file && { key, ...file, session: bound.get(key) };
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
