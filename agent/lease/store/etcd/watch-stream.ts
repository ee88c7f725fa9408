/**
 * What a watch's answers mean. The rule of where to resume is etcd's own client's (client/v3/watch.go): after the
 * last event's revision; the header's revision counts only in a progress notification, because a batch of
 * events carries the store's current revision, not the batch's.
 */
import { StoreError } from '../../errors.ts';
import type { StoreEvent, WatchItem } from '../store.ts';
import type { WatchEvent, WatchResponse } from './methods.ts';
import { recordOf } from './records.ts';

/** The server answers a request for progress under this id; such an answer may overtake events (etcd#15220). */
const requestedProgressId = '-1';

const deleted = 1;

export class WatchReader {
  readonly #prefix: string;
  #fragments: WatchEvent[] = [];

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The item that the answer completes, if any. Throws `StoreError` where the watch has ended. */
  read(response: WatchResponse): WatchItem | undefined {
    if (response.compactRevision !== '0')
      throw new StoreError('compacted', 'the history asked for is compacted');
    if (response.canceled) {
      const refused = /permission denied/i.test(response.cancelReason);
      throw new StoreError(refused ? 'refused' : 'away', `etcd ended the watch: ${response.cancelReason}`);
    }
    if (response.created || response.watchId === requestedProgressId) return undefined;
    if (response.events.length === 0 && this.#fragments.length === 0) {
      return { type: 'events', events: [], cursor: response.header.revision };
    }
    this.#fragments.push(...response.events);
    if (response.fragment) return undefined;
    const events = this.#fragments;
    this.#fragments = [];
    const last = events.at(-1);
    if (!last) return undefined;
    return {
      type: 'events',
      events: events.map((event) => this.#translate(event)),
      cursor: last.kv.modRevision,
    };
  }

  #translate({ type, kv }: WatchEvent): StoreEvent {
    const record = recordOf(kv, this.#prefix);
    return type === deleted ? { type: 'delete', key: record.key } : { type: 'put', record };
  }
}
