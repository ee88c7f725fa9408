import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Scheduler, type SchedulerOptions } from '../../../agent/reconcile/scheduler.ts';

/** A scheduler whose passes are collected, and which ends with the test. */
function scheduled(change: Partial<SchedulerOptions> = {}) {
  const passes: string[][] = [];
  const stop = new AbortController();
  const waiting: { count: number; resolve: () => void }[] = [];
  const scheduler = new Scheduler({
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
  return { scheduler, passes, passed, stop };
}

describe('scheduler of passes', () => {
  it('many triggers at once: one pass', async () => {
    const { scheduler: r, passes, passed, stop } = scheduled();
    for (let i = 0; i < 1000; i++) r.trigger(i % 2 ? 'lease' : 'link');
    await passed(1);
    await r.idle();
    assert.deepEqual(passes, [['lease', 'link']]);
    stop.abort();
  });

  it('trigger during a pass: another pass after it, never two at a time', async () => {
    let running = 0;
    const {
      scheduler: r,
      passed,
      passes,
      stop,
    } = scheduled({
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

  it('retry or period due: a pass runs without a trigger', async () => {
    const asked = scheduled({ pass: async () => 1 });
    asked.scheduler.trigger('start');
    await asked.passed(3);
    assert.deepEqual(asked.passes.slice(0, 3), [['start'], ['period'], ['period']]);
    asked.stop.abort();
    const periodic = scheduled({ periodMs: 1 });
    periodic.scheduler.trigger('start');
    await periodic.passed(2);
    periodic.stop.abort();
  });

  it('pass that throws: reported and retried', async () => {
    const errors: unknown[] = [];
    const {
      scheduler: r,
      passed,
      stop,
    } = scheduled({
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
