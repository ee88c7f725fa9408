import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters } from '../../../agent/metrics/counters.ts';
import { parseDeviceStatistics } from '../../../agent/metrics/device-statistics.ts';
import { exposition } from '../../../agent/metrics/exposition.ts';
import { Health } from '../../../agent/serve/health/health.ts';

const health = () => new Health({ now: () => 0, wallNow: () => 0 });
const textOf = (counters: Counters) => exposition({ health: health(), counters, perPeer: false });
const lineOf = (text: string, series: string): string | undefined =>
  text.split('\n').find((line) => line.startsWith(`${series} `));

describe('metrics', () => {
  it('CNI calls: cumulative buckets, sum and count by verb, failures by code', async () => {
    const counters = new Counters();
    for (const workedMs of [1, 4, 400]) counters.called({ verb: 'ADD', status: 0, waitedMs: 0, workedMs });
    counters.called({ verb: 'ADD', status: 1, code: 11, waitedMs: 500, workedMs: 700 });
    const text = await textOf(counters);
    const bucket = (le: string) =>
      lineOf(text, `weft_cni_call_duration_seconds_bucket{verb="ADD",le="${le}"}`)?.split(' ')[1];
    assert.deepEqual(['0.002', '0.005', '0.25', '1', '5', '+Inf'].map(bucket), [
      '1',
      '2',
      '2',
      '3',
      '4',
      '4',
    ]);
    assert.equal(lineOf(text, 'weft_cni_call_duration_seconds_count{verb="ADD"}')?.split(' ')[1], '4');
    assert.ok(lineOf(text, 'weft_cni_call_failures_total{verb="ADD",code="11"}')?.endsWith(' 1'));
  });

  it('verb that no specification knows: counted as other, and never a label', async () => {
    const counters = new Counters();
    counters.called({ verb: 'x"} 1\nevil', status: 1, code: 4, waitedMs: 0, workedMs: 1 });
    const text = await textOf(counters);
    assert.doesNotMatch(text, /evil/);
    assert.ok(lineOf(text, 'weft_cni_call_failures_total{verb="other",code="4"}'));
  });

  it('passes: changes and errors by part, problems of the last pass only', async () => {
    const counters = new Counters();
    counters.passed([{ part: 'bridges', done: ['cni0: up'], problems: ['one', 'two'] }], 0.002);
    counters.passed(
      [
        { part: 'overlay IPv4', done: ['a'], changes: 3, problems: [] },
        { part: 'bridges', done: [], problems: ['one'], error: new Error('x') },
      ],
      0.03,
    );
    const text = await textOf(counters);
    assert.ok(lineOf(text, 'weft_reconcile_changes_total{part="bridges"}')?.endsWith(' 1'));
    assert.ok(lineOf(text, 'weft_reconcile_changes_total{part="overlay IPv4"}')?.endsWith(' 3'));
    assert.ok(lineOf(text, 'weft_reconcile_errors_total{part="bridges"}')?.endsWith(' 1'));
    assert.ok(lineOf(text, 'weft_reconcile_problems')?.endsWith(' 1'));
    assert.ok(lineOf(text, 'weft_reconcile_duration_seconds_count')?.endsWith(' 2'));
  });

  it('events of the log: counted by name', async () => {
    const counters = new Counters();
    counters.happened('store.unreachable');
    counters.happened('store.unreachable');
    assert.ok(lineOf(await textOf(counters), 'weft_events_total{event="store.unreachable"}')?.endsWith(' 2'));
  });

  it('statistics of devices: those that were asked for, by column', () => {
    const text = [
      'Inter-|   Receive              |  Transmit',
      ' face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo',
      '    lo:  100  1 0 0 0 0 0 0   100  1 0 0 0 0 0 0',
      'weft.1: 9000 90 3 4 0 0 0 0  8000 80 5 6 0 0 0 0',
    ].join('\n');
    assert.deepEqual(
      [...parseDeviceStatistics(text, ['weft.1', 'weft-v6.1'])],
      [
        [
          'weft.1',
          {
            receivedPackets: 90,
            receiveErrors: 3,
            receiveDrops: 4,
            sentPackets: 80,
            sendErrors: 5,
            sendDrops: 6,
          },
        ],
      ],
    );
  });
});
