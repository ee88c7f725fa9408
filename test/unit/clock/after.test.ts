import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { after, deadlineSignal } from '../../../clock/after.ts';

const DAY_MS = 86_400_000;
/** The longest wait that Node.js takes, and the mocked timers with it. */
const STEP_MS = 2 ** 31 - 1;

function pass(t: TestContext, ms: number): void {
  for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) t.mock.timers.tick(Math.min(leftMs, STEP_MS));
}

for (const days of [1, 24, 25, 30, 60, 365]) {
  test(`wait of ${days} days: ends then and not before`, (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let runs = 0;
    after(days * DAY_MS, () => runs++);
    pass(t, days * DAY_MS - 1);
    assert.equal(runs, 0);
    t.mock.timers.tick(1);
    assert.equal(runs, 1);
    pass(t, days * DAY_MS);
    assert.equal(runs, 1);
  });
}

test('deadline of 60 days: has not passed after a moment', async () => {
  const signal = deadlineSignal(60 * DAY_MS);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(signal.aborted, false);
});

test('wait without end: never ends', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  after(Number.POSITIVE_INFINITY, () => assert.fail('ended'));
  pass(t, 100 * DAY_MS);
});

test('wait of 60 days, cancelled in its second timer: does not end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const cancel = after(60 * DAY_MS, () => assert.fail('ended'));
  pass(t, 30 * DAY_MS);
  cancel();
  pass(t, 60 * DAY_MS);
});
