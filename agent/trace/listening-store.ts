/** A store whose watch also tells of questions to this node, beside what the lease protocol makes of it. */
import type { LeaseStore, StoreRecord, WatchItem } from '../lease/store/store.ts';
import { questionsFolder } from './records.ts';

/** The same store; `onQuestion` is called for each record of a question that the watch delivers, also repeatedly. */
export function listening(store: LeaseStore, onQuestion: (record: StoreRecord) => void): LeaseStore {
  const watch = async function* (cursor: string, signal: AbortSignal): AsyncGenerator<WatchItem> {
    for await (const item of store.watch(cursor, signal)) {
      for (const record of recordsOf(item)) if (record.key.startsWith(questionsFolder)) onQuestion(record);
      yield item;
    }
  };
  return {
    description: store.description,
    placement: store.placement,
    list: (signal) => store.list(signal),
    read: (keys, signal) => store.read(keys, signal),
    watch,
    commit: (transaction, signal) => store.commit(transaction, signal),
    grant: (ttlSeconds, signal) => store.grant(ttlSeconds, signal),
    keepAlive: (session, signal) => store.keepAlive(session, signal),
    silence: (session, signal) => store.silence(session, signal),
    revoke: (session, signal) => store.revoke(session, signal),
    ...(store.reconnect ? { reconnect: () => store.reconnect?.() } : {}),
    close: () => store.close(),
  };
}

function* recordsOf(item: WatchItem): Generator<StoreRecord> {
  if (item.type === 'list') yield* item.records;
  else for (const event of item.events) if (event.type === 'put') yield event.record;
}
