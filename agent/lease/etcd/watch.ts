/** One watch of everything under the prefix. Ends with `StoreError`; who follows resumes. */
import { StoreError } from '../errors.ts';
import type { WatchItem } from '../store.ts';
import type { Connection } from './connection.ts';
import { watch } from './methods.ts';
import { keyRange } from './records.ts';
import { WatchReader } from './watch-stream.ts';

/**
 * A member cut off from the others may keep the connection and say nothing; so it is asked for its progress
 * this often, and left if it does not say anything for twice as long.
 */
const progressMs = 30_000;

export async function* watchRange(options: {
  readonly connection: Connection;
  readonly prefix: string;
  /** The last revision that is known. */
  readonly cursor: string;
  readonly signal: AbortSignal;
}): AsyncGenerator<WatchItem> {
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
      if (response.created && !response.canceled) yield { type: 'events', events: [], cursor };
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
