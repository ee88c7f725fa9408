import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreError } from '../../../agent/lease/errors.ts';
import { follow } from '../../../agent/lease/protocol/follow.ts';
import type { LeaseStore, WatchItem } from '../../../agent/lease/store/store.ts';
import type { Clock } from '../../../clock/clock.ts';

/** The pauses that a follower makes, of which none ever ends. */
function pausing(): { clock: Clock; pauses: number[] } {
  const pauses: number[] = [];
  const after = (ms: number): (() => void) => {
    pauses.push(ms);
    return () => pauses.splice(pauses.indexOf(ms), 1);
  };
  return { clock: { now: () => 0, wallNow: () => 0, after }, pauses };
}

/** A store whose member goes as soon as the watch stands. */
function falling(): Pick<LeaseStore, 'description' | 'list' | 'watch'> {
  return {
    description: 'falling',
    list: async () => ({ records: [], cursor: '1' }),
    async *watch(): AsyncGenerator<WatchItem> {
      yield { type: 'events', events: [], cursor: '1' };
      throw new StoreError('away', 'the member is gone');
    },
  };
}

test('a thousand agents whose member goes at one moment come back over a second, not at one moment', async () => {
  const waits: number[] = [];
  for (let agent = 0; agent < 1000; agent++) {
    const { clock, pauses } = pausing();
    const gone = new Promise<void>((resolve) => {
      const stop = new AbortController();
      follow({
        store: falling() as LeaseStore,
        clock,
        random: () => agent / 1000,
        relistSeconds: 3600,
        onItem: () => {},
        onTrouble: (error) => error && setImmediate(resolve),
        signal: stop.signal,
      });
    });
    await gone;
    waits.push(...pauses);
  }
  assert.equal(waits.length, 1000);
  for (let from = 0; from < 1000; from += 100) {
    const within = waits.filter((ms) => ms >= from && ms < from + 100).length;
    assert.ok(within <= 150, `${within} of 1000 within ${from} to ${from + 100} ms`);
  }
});
