import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { RetryTable } from '../../../agent/reconcile/retry-table.ts';

let now: number;
let table: RetryTable<string>;
beforeEach(() => {
  now = 0;
  table = new RetryTable(() => now);
});

describe('item that was refused', () => {
  const fail = (id: string) => table.failed(id, { item: id, error: new Error('EEXIST') });

  it('refused again and again: waits twice as long each time, a minute at most', () => {
    assert.deepEqual([table.isDue('route'), table.nextInMs()], [true, undefined]);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      fail('route');
      const wait = table.nextInMs() ?? 0;
      assert.equal(table.isDue('route'), false);
      now += wait;
      assert.equal(table.isDue('route'), true);
      waits.push(wait);
    }
    assert.deepEqual(waits.slice(0, 4), [100, 200, 400, 800]);
    assert.equal(waits.at(-1), 60_000);
  });

  it('settled: due, and no failure is left', () => {
    fail('route');
    table.settled('route');
    assert.deepEqual([table.isDue('route'), table.nextInMs(), table.failures], [true, undefined, []]);
  });

  it('beside another: the other does not wait', () => {
    fail('bad');
    assert.equal(table.isDue('good'), true);
  });

  it('not desired any more: forgotten', () => {
    fail('bad');
    table.keepOnly(new Set(['good']));
    assert.deepEqual([table.isDue('bad'), table.failures], [true, []]);
  });

  it('changed by a program that was seen: the program is named', () => {
    table.seen('route', 'bird');
    fail('route');
    assert.deepEqual(
      table.failures.map(({ item, by }) => [item, by]),
      [['route', 'bird']],
    );
  });
});

describe('item that another program keeps removing', () => {
  const remove = (times: number, everyMs: number) => {
    for (let i = 0; i < times; i++) {
      now += everyMs;
      table.removed('entry', 'entry');
      table.settled('entry');
    }
  };

  it('ten times: repaired at once each time, nobody is named', () => {
    remove(10, 10);
    assert.deepEqual([table.isDue('entry'), table.contended, table.nextInMs()], [true, [], undefined]);
  });

  it('every two seconds for ever: repaired at once each time', () => {
    remove(1000, 2000);
    assert.deepEqual([table.isDue('entry'), table.contended], [true, []]);
  });

  it('again and again: waits ever longer, a minute at most, and the program is named', () => {
    table.seen('entry', 'process 4711 (routed)');
    remove(11, 10);
    assert.equal(table.isDue('entry'), false);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      const wait = table.nextInMs() ?? 0;
      waits.push(wait);
      remove(1, wait + 1);
    }
    assert.deepEqual(waits.slice(0, 4), [200, 400, 800, 1600]);
    assert.ok(waits.every((wait, i) => wait >= (waits[i - 1] ?? 0) && wait <= 60_000));
    assert.deepEqual(
      table.contended.map(({ item, by }) => [item, by]),
      [['entry', 'process 4711 (routed)']],
    );
  });

  it('not repaired yet: counted once', () => {
    for (let i = 0; i < 100; i++) table.removed('entry', 'entry');
    assert.equal(table.isContended('entry'), false);
  });

  it('refused by the kernel: not counted as removed', () => {
    table.failed('entry', { item: 'entry', error: new Error('EEXIST') });
    for (let i = 0; i < 100; i++) table.removed('entry', 'entry');
    assert.equal(table.isContended('entry'), false);
  });

  it('beside another: the other does not wait', () => {
    remove(20, 10);
    assert.equal(table.isDue('another'), true);
  });

  it('stood for two minutes, or is not desired any more: forgotten', () => {
    remove(12, 10);
    assert.equal(table.contended.length, 1);
    now += 120_001;
    assert.deepEqual(table.contended, []);
    remove(12, 10);
    table.keepOnly(new Set());
    assert.deepEqual([table.contended, table.isDue('entry')], [[], true]);
  });
});
