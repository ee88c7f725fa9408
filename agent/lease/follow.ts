/**
 * Keeps a view up to date for as long as the signal lets it: list, watch from there on, resume where the watch
 * broke off, list again after compaction and every so often.
 */
import { Backoff, type Clock, jittered, type Random, sleep } from './clock.ts';
import { isStoreError, StoreError } from './errors.ts';
import type { LeaseStore, WatchItem } from './store.ts';

export interface FollowOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  /** A whole list is taken this often, whatever the watch says. */
  readonly relistSeconds: number;
  readonly onItem: (item: WatchItem) => void;
  /** Called with the error when the store stops answering, with undefined when it answers again. */
  readonly onTrouble: (error: StoreError | undefined) => void;
  readonly signal: AbortSignal;
}

export interface Follower {
  /** Resolves when the signal has fired; rejects with what is not a `StoreError`. */
  readonly done: Promise<void>;
  /** Asks for a whole list now. */
  relist(): void;
}

export function follow(options: FollowOptions): Follower {
  const { store, clock, random, signal } = options;
  const backoff = new Backoff({ firstMs: 100, longestMs: 5000, random });
  let cursor: string | undefined;
  let watching: AbortController | undefined;

  const relist = (): void => {
    cursor = undefined;
    watching?.abort('list again');
  };

  const take = (item: WatchItem): void => {
    cursor = item.cursor;
    backoff.reset();
    options.onTrouble(undefined);
    options.onItem(item);
  };

  async function round(): Promise<void> {
    if (cursor === undefined) {
      const snapshot = await store.list(signal);
      signal.throwIfAborted();
      take({ type: 'list', ...snapshot });
    }
    const from = cursor;
    if (from === undefined) return;
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', abort);
    watching = stop;
    const notDue = clock.after(jittered(options.relistSeconds * 1000, random), relist);
    try {
      for await (const item of store.watch(from, stop.signal)) {
        if (stop.signal.aborted) return;
        take(item);
      }
      if (!stop.signal.aborted) throw new StoreError('away', `${store.description}: the watch ended`);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      watching = undefined;
      notDue();
      stop.abort('watch over');
      signal.removeEventListener('abort', abort);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof StoreError)) throw error;
        if (isStoreError(error, 'compacted')) {
          cursor = undefined;
          continue;
        }
        options.onTrouble(error);
        await sleep(clock, backoff.next(), signal).catch(() => undefined);
      }
    }
  }

  return { done: run(), relist };
}
