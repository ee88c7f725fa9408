import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Backoff } from '../../agent/overlay/backoff.ts';
import { Reconciler, type ReconcilerOptions } from '../../agent/overlay/reconciler.ts';

/** A reconciler whose passes are collected, and which ends with the test. */
function reconciler(change: Partial<ReconcilerOptions> = {}) {
  const passes: string[][] = [];
  const stop = new AbortController();
  const waiting: { count: number; resolve: () => void }[] = [];
  const reconciler = new Reconciler({
    periodMs: 60_000,
    gapMs: 1,
    onError: () => {},
    signal: stop.signal,
    ...change,
    pass: async (reasons) => {
      passes.push([...reasons].sort());
      for (const w of waiting) if (passes.length >= w.count) w.resolve();
      return change.pass?.(reasons);
    },
  });
  const passed = (count: number) =>
    passes.length >= count
      ? Promise.resolve()
      : new Promise<void>((resolve) => waiting.push({ count, resolve }));
  return { reconciler, passes, passed, stop };
}

describe('a reconciler', () => {
  it('runs one pass for all that happened at once', async () => {
    const { reconciler: r, passes, passed, stop } = reconciler();
    for (let i = 0; i < 1000; i++) r.trigger(i % 2 ? 'lease' : 'link');
    await passed(1);
    await r.idle();
    assert.deepEqual(passes, [['lease', 'link']]);
    stop.abort();
  });

  it('runs again for what happened during a pass, never two at a time', async () => {
    let running = 0;
    const {
      reconciler: r,
      passed,
      passes,
      stop,
    } = reconciler({
      pass: async () => {
        assert.equal(++running, 1);
        if (passes.length === 1) r.trigger('meanwhile');
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return undefined;
      },
    });
    r.trigger('start');
    await passed(2);
    assert.deepEqual(passes, [['start'], ['meanwhile']]);
    stop.abort();
  });

  it('runs when a pass asked for it, and when the period is over', async () => {
    const asked = reconciler({ pass: async () => 1 });
    asked.reconciler.trigger('start');
    await asked.passed(3);
    assert.deepEqual(asked.passes.slice(0, 3), [['start'], ['period'], ['period']]);
    asked.stop.abort();
    const periodic = reconciler({ periodMs: 1 });
    periodic.reconciler.trigger('start');
    await periodic.passed(2);
    periodic.stop.abort();
  });

  it('goes on after a pass that threw', async () => {
    const errors: unknown[] = [];
    const {
      reconciler: r,
      passed,
      stop,
    } = reconciler({
      pass: async () => {
        throw new Error('no device');
      },
      onError: (error) => errors.push(error),
    });
    r.trigger('start');
    await passed(2);
    assert.match(String(errors[0]), /no device/);
    stop.abort();
  });
});

describe('a backoff', () => {
  it('lets an entry wait twice as long each time, to a limit, and forgets it when it settles', () => {
    let now = 0;
    const backoff = new Backoff(() => now);
    assert.equal(backoff.isDue('route'), true);
    assert.equal(backoff.nextInMs(), undefined);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      backoff.failed('route');
      const wait = backoff.nextInMs() ?? 0;
      assert.equal(backoff.isDue('route'), false);
      now += wait;
      assert.equal(backoff.isDue('route'), true);
      waits.push(wait);
    }
    assert.deepEqual(waits.slice(0, 4), [100, 200, 400, 800]);
    assert.equal(waits.at(-1), 60_000);
    backoff.settled('route');
    assert.equal(backoff.nextInMs(), undefined);
  });

  it('keeps one entry’s wait from another, and drops what is no longer wanted', () => {
    const backoff = new Backoff(() => 0);
    backoff.failed('bad');
    assert.equal(backoff.isDue('good'), true);
    backoff.keepOnly(new Set(['good']));
    assert.equal(backoff.isDue('bad'), true);
  });
});
