/** The store of a cluster of machines: etcd 3.4 or newer, flannel's prefix, keys and values. */
import type { EtcdStoreConfig } from '../../../config/config.ts';
import { StoreError } from '../../errors.ts';
import {
  absent,
  type Granted,
  type LeaseStore,
  type Snapshot,
  type StoreRecord,
  type Transaction,
  type WatchItem,
} from '../store.ts';
import { Connection } from './connection.ts';
import { KeepAlive } from './keep-alive.ts';
import {
  compareEqual,
  compareModRevision,
  leaseGrant,
  leaseRevoke,
  leaseTimeToLive,
  range,
  txn,
} from './methods.ts';
import { etcdKey, keyRange, recordOf } from './records.ts';
import { isServiceError } from './refusals.ts';
import { watchRange } from './watch.ts';

/** etcd's codes for a lease that is not there: gRPC NOT_FOUND. */
const notFound = 5;

/** Some 400 kB of a cluster's records: 0.4 s at 8 Mbit/s. */
const pageKeys = '1000';
/** The first key after another one ends with this in addition. */
const nextKey = Buffer.from([0]);

export class EtcdStore implements LeaseStore {
  readonly placement = 'hashed';
  readonly #connection: Connection;
  readonly #keepAlive: KeepAlive;
  readonly #prefix: string;

  /** Connects. Throws `StoreError` `refused` if certificates or the password cannot be read. */
  static open(config: EtcdStoreConfig): EtcdStore {
    return new EtcdStore(config);
  }

  private constructor(config: EtcdStoreConfig) {
    this.#prefix = config.prefix;
    this.#connection = new Connection(config, Math.random);
    this.#keepAlive = new KeepAlive(this.#connection);
  }

  get description(): string {
    return this.#connection.description;
  }

  async list(signal: AbortSignal): Promise<Snapshot> {
    const { key, rangeEnd } = keyRange(this.#prefix);
    const records: StoreRecord[] = [];
    let from = key;
    let revision: string | undefined;
    for (;;) {
      // Each page has a deadline of its own, so a slow link takes as long as it makes progress.
      const request = {
        key: from,
        rangeEnd,
        limit: pageKeys,
        ...(revision === undefined ? {} : { revision }),
      };
      const page = await this.#connection.call(range, request, { repeatable: true, signal });
      // All pages are of one moment, that of the first.
      revision ??= page.header.revision;
      for (const kv of page.kvs) records.push(recordOf(kv, this.#prefix));
      const last = page.kvs.at(-1);
      if (!page.more || !last) return { records, cursor: revision };
      from = Buffer.concat([last.key, nextKey]);
    }
  }

  async read(keys: readonly string[], signal: AbortSignal): Promise<readonly StoreRecord[]> {
    const success = keys.map((key) => ({ requestRange: { key: etcdKey(this.#prefix, key) } }));
    const { responses } = await this.#connection.call(
      txn,
      { compare: [], success },
      { repeatable: true, signal },
    );
    return responses.flatMap(({ responseRange }) =>
      (responseRange?.kvs ?? []).map((kv) => recordOf(kv, this.#prefix)),
    );
  }

  watch(cursor: string, signal: AbortSignal): AsyncIterable<WatchItem> {
    return watchRange({ connection: this.#connection, prefix: this.#prefix, cursor, signal });
  }

  async commit({ compare, write }: Transaction, signal: AbortSignal): Promise<boolean> {
    const request = {
      compare: compare.map(({ key, version }) => ({
        result: compareEqual,
        target: compareModRevision,
        key: etcdKey(this.#prefix, key),
        // A key that does not exist has modification revision 0.
        modRevision: version === absent ? '0' : version,
      })),
      success: write.map((one) => {
        const key = etcdKey(this.#prefix, one.key);
        if (one.type === 'delete') return { requestDeleteRange: { key } };
        return { requestPut: { key, value: Buffer.from(one.value), lease: one.session ?? '0' } };
      }),
    };
    const { succeeded } = await this.#connection.call(txn, request, { repeatable: false, signal });
    return succeeded;
  }

  async grant(ttlSeconds: number, signal: AbortSignal): Promise<Granted> {
    const request = { TTL: String(Math.ceil(ttlSeconds)) };
    const { ID, TTL } = await this.#connection.call(leaseGrant, request, { repeatable: true, signal });
    return { session: ID, ttlSeconds: Number(TTL) };
  }

  keepAlive(session: string, signal: AbortSignal): Promise<number> {
    return this.#keepAlive.renew(session, signal);
  }

  async silence(session: string, signal: AbortSignal): Promise<number | undefined> {
    const request = { ID: session };
    const { TTL, grantedTTL } = await this.#connection.call(leaseTimeToLive, request, {
      repeatable: true,
      signal,
    });
    return Number(TTL) < 0 ? undefined : Number(grantedTTL) - Number(TTL);
  }

  async revoke(session: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#connection.call(leaseRevoke, { ID: session }, { repeatable: true, signal });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  reconnect(): void {
    this.#connection.reconnect();
  }

  close(): void {
    this.#keepAlive.close();
    this.#connection.close();
  }
}

const isGone = (error: unknown): boolean =>
  error instanceof StoreError && isServiceError(error.cause) && error.cause.code === notFound;
