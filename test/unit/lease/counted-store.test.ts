import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StoreError } from '../../../agent/lease/errors.ts';
import { countedStore } from '../../../agent/lease/store/counted-store.ts';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import { Counters } from '../../../agent/metrics/counters.ts';
import { systemClock } from '../../../clock/clock.ts';

const never = new AbortController().signal;

test('counted store: answers as before; requests are counted by operation, failures by cause', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'weft-counted-'));
  t.after(() => rmSync(path, { recursive: true }));
  const counters = new Counters();
  const inner = new FileStore({ path: join(path, 'store'), clock: systemClock, boot: 'boot' });
  const store = countedStore(inner, counters);
  t.after(() => store.close());
  assert.equal(store.description, inner.description);
  assert.deepEqual((await store.list(never)).records, []);
  await store.list(never);
  assert.deepEqual(
    counters.requests.get('list')?.counts.reduce((a, b) => a + b),
    2,
  );
  inner.read = () => Promise.reject(new StoreError('away', 'nobody answers'));
  await assert.rejects(store.read(['config'], never), /nobody answers/);
  assert.deepEqual([...counters.requestFailures], [['read away', 1]]);
});

test('watch that ends by an error: counted by cause; one that is aborted: not counted', async () => {
  const counters = new Counters();
  const abort = new AbortController();
  const watch = async function* (_cursor: string, signal: AbortSignal) {
    yield { type: 'events' as const, events: [], cursor: '1' };
    throw new StoreError(signal.aborted ? 'away' : 'compacted', 'ended');
  };
  const store = countedStore({ watch } as never, counters);
  const read = async (signal: AbortSignal): Promise<void> => {
    for await (const _ of store.watch('0', signal));
  };
  await assert.rejects(read(never), /ended/);
  abort.abort();
  await assert.rejects(read(abort.signal), /ended/);
  assert.deepEqual([...counters.watchEnds], [['compacted', 1]]);
});
