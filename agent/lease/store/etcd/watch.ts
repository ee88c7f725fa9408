/** One watch of everything under the prefix. Ends with `StoreError`; who follows resumes. */

import { StoreError } from '../../errors.ts';
import { configKey } from '../../flannel/cluster-config.ts';
import type { WatchItem } from '../store.ts';
import type { Connection } from './connection.ts';
import { range, watch } from './methods.ts';
import { etcdKey, keyRange } from './records.ts';
import { WatchReader } from './watch-stream.ts';

/**
 * A member cut off from the others may keep the connection and say nothing; so it is asked for its progress
 * this often, and left if it does not say anything for twice as long.
 */
const progressMs = 30_000;

interface WatchOptions {
  readonly connection: Connection;
  readonly prefix: string;
  /** The last revision that is known. */
  readonly cursor: string;
  readonly signal: AbortSignal;
}

export async function* watchRange(options: WatchOptions): AsyncGenerator<WatchItem> {
  const { connection, prefix, cursor, signal } = options;
  const { stream, failed } = await connection.stream(watch, signal);
  const reader = new WatchReader(prefix);
  const abort = (): void => stream.cancel();
  signal.addEventListener('abort', abort, { once: true });
  let heard = true;
  const timer = setInterval(() => {
    if (heard) stream.write({ progressRequest: {} });
    else stream.destroy(new StoreError('away', `etcd says nothing for ${(2 * progressMs) / 1000} s`));
    heard = false;
  }, progressMs);
  try {
    stream.write({
      createRequest: {
        ...keyRange(prefix),
        startRevision: String(BigInt(cursor) + 1n),
        progressNotify: true,
        fragment: true,
      },
    });
    for await (const response of stream) {
      heard = true;
      if (response.created && !response.canceled) {
        if (BigInt(response.header.revision) < BigInt(cursor)) await assureHistory(options);
        yield { type: 'events', events: [], cursor };
      }
      const item = reader.read(response);
      if (item) yield item;
    }
    throw new StoreError('away', 'etcd ended the watch');
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof StoreError && error.kind !== 'away') throw error;
    throw failed(error);
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', abort);
    stream.cancel();
  }
}

/**
 * A member whose revision is below what we know lags behind the others, or etcd was restored from a backup: then a
 * watch from what we know would be silent until the revisions have been counted up again. A read through the quorum
 * tells which.
 */
async function assureHistory({ connection, prefix, cursor, signal }: WatchOptions): Promise<void> {
  const request = { key: etcdKey(prefix, configKey) };
  const { header } = await connection.call(range, request, { repeatable: true, signal });
  if (BigInt(header.revision) >= BigInt(cursor)) return;
  throw new StoreError('compacted', `etcd has gone back from revision ${cursor} to ${header.revision}`);
}
