import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../clock/clock.ts';
import { Bell } from '../../../retry/bell.ts';

const never = new AbortController().signal;

test('bell rung while nobody waits: the next wait ends at once, the one after does not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const bell = new Bell(systemClock);
  bell.ring();
  await bell.wait(undefined, never);
  let over = false;
  const waiting = bell.wait(1000, never).then(() => {
    over = true;
  });
  t.mock.timers.tick(999);
  await Promise.resolve();
  assert.equal(over, false);
  t.mock.timers.tick(1);
  await waiting;
});

test('bell rung during a wait: the wait ends', async () => {
  const bell = new Bell(systemClock);
  const waiting = bell.wait(undefined, never);
  bell.ring();
  await waiting;
});

test('signal fires during a wait: the wait ends without an error', async () => {
  const bell = new Bell(systemClock);
  const stop = new AbortController();
  const waiting = bell.wait(undefined, stop.signal);
  stop.abort();
  await waiting;
});

test('wait in the past: ends at once', async () => {
  await new Bell(systemClock).wait(-1, never);
});
