/**
 * Keeps a view up to date for as long as the signal lets it: list, watch from there on, resume where the watch
 * broke off, list again after compaction and every so often.
 */
import { type Clock, sleep } from '../../../clock/clock.ts';
import { Backoff, jittered, type Random } from '../../../retry/backoff.ts';
import { isStoreError, StoreError } from '../errors.ts';
import type { LeaseStore, WatchItem } from '../store/store.ts';

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
  // A member that goes leaves a thousand agents without a watch at one moment: they come back over a second.
  const backoff = new Backoff({ firstMs: 1000, longestMs: 8000, least: 0, random });
  let cursor: string | undefined;
  let stop = new AbortController();
  let watching = false;

  const relist = (): void => {
    cursor = undefined;
    if (watching) stop.abort('list again');
  };
  signal.addEventListener('abort', () => stop.abort(signal.reason), { once: true });

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
    if (stop.signal.aborted) stop = new AbortController();
    const over = stop.signal;
    const notDue = clock.after(jittered(options.relistSeconds * 1000, random), relist);
    watching = true;
    try {
      for await (const item of store.watch(from, over)) {
        if (over.aborted) return;
        take(item);
      }
      if (!over.aborted) throw new StoreError('away', `${store.description}: the watch ended`);
    } catch (error) {
      if (!over.aborted) throw error;
    } finally {
      watching = false;
      notDue();
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
