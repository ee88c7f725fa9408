/** A store whose requests are counted and timed. Changes nothing else. */
import { StoreError } from '../errors.ts';
import type { LeaseStore, WatchItem } from './store.ts';

export interface StoreObserver {
  /** A request has ended; `failure`: the kind of its StoreError, `other` for what is none. */
  requested(operation: string, seconds: number, failure: string | undefined): void;
  /** A watch has ended, for this cause; it is begun again unless the agent ends. */
  watchEnded(cause: string): void;
}

export function countedStore(store: LeaseStore, observer: StoreObserver): LeaseStore {
  const timed = <T>(operation: string, request: () => Promise<T>) => time(observer, operation, request);
  return {
    description: store.description,
    placement: store.placement,
    list: (signal) => timed('list', () => store.list(signal)),
    read: (keys, signal) => timed('read', () => store.read(keys, signal)),
    watch: (cursor, signal) => watched(store.watch(cursor, signal), signal, observer),
    commit: (transaction, signal) => timed('commit', () => store.commit(transaction, signal)),
    grant: (ttlSeconds, signal) => timed('grant', () => store.grant(ttlSeconds, signal)),
    keepAlive: (session, signal) => timed('keepAlive', () => store.keepAlive(session, signal)),
    silence: (session, signal) => timed('silence', () => store.silence(session, signal)),
    revoke: (session, signal) => timed('revoke', () => store.revoke(session, signal)),
    reconnect: () => store.reconnect?.(),
    close: () => store.close(),
  };
}

async function time<T>(observer: StoreObserver, operation: string, request: () => Promise<T>): Promise<T> {
  const since = performance.now();
  const end = (failure?: string): void =>
    observer.requested(operation, (performance.now() - since) / 1000, failure);
  try {
    const answer = await request();
    end();
    return answer;
  } catch (error) {
    end(causeOf(error));
    throw error;
  }
}

async function* watched(
  items: AsyncIterable<WatchItem>,
  signal: AbortSignal,
  observer: StoreObserver,
): AsyncIterable<WatchItem> {
  try {
    yield* items;
  } catch (error) {
    if (!signal.aborted) observer.watchEnded(causeOf(error));
    throw error;
  }
}

const causeOf = (error: unknown): string => (error instanceof StoreError ? error.kind : 'other');
