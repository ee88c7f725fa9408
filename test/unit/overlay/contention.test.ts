/** Somebody else who works on the same entries. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Contention } from '../../../agent/overlay/contention.ts';
import type { Entry } from '../../../agent/overlay/entry.ts';
import { ip } from '../../../inet/ip.ts';

const entry: Entry = { kind: 'neighbour', index: 7, address: ip('10.244.2.0'), mac: '02:00:00:00:00:02' };

const names = new Map([[7, 'weft.1']]);

describe('an entry that is undone', () => {
  let now: number;
  let contention: Contention;
  const undo = (times: number, everyMs: number, by?: string) => {
    for (let i = 0; i < times; i++) {
      now += everyMs;
      contention.undone('entry', entry, by);
    }
  };
  beforeEach(() => {
    now = 0;
    contention = new Contention(() => now);
  });

  it('a few times is put back at once each time, and nobody is blamed', () => {
    undo(10, 10);
    assert.equal(contention.isDue('entry'), true);
    assert.deepEqual(contention.problems(names), []);
    assert.equal(contention.nextInMs(), undefined);
  });

  it('now and then, for ever, is put back at once each time', () => {
    undo(1000, 2000);
    assert.equal(contention.isDue('entry'), true);
    assert.deepEqual(contention.problems(names), []);
  });

  it('again and again waits ever longer, at most a minute, and names who does it', () => {
    undo(11, 10, 'process 4711 (routed)');
    assert.equal(contention.isDue('entry'), false);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      const wait = contention.nextInMs() ?? 0;
      waits.push(wait);
      undo(1, wait + 1);
    }
    assert.deepEqual(waits.slice(0, 4), [200, 400, 800, 1600]);
    assert.ok(waits.every((wait, i) => wait >= (waits[i - 1] ?? 0) && wait <= 60_000));
    const said = contention.problems(names);
    assert.equal(said.length, 1);
    assert.match(
      said[0] ?? '',
      /neighbour 10\.244\.2\.0 .* dev weft\.1 is undone again and again by process 4711 \(routed\)/,
    );
    undo(1, 60_000);
    assert.deepEqual(contention.problems(names), said, 'the same words, however long it goes on');
  });

  it('keeps no other entry waiting', () => {
    undo(20, 10);
    assert.equal(contention.isDue('another'), true);
  });

  it('is no longer told of once it has stood for a while, or is not wanted any more', () => {
    undo(12, 10);
    assert.equal(contention.problems(names).length, 1);
    now += 120_001;
    assert.deepEqual(contention.problems(names), []);
    undo(12, 10);
    contention.keepOnly(new Set());
    assert.deepEqual([contention.problems(names), contention.isDue('entry')], [[], true]);
  });
});
