import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contentOf } from '../../../pod/control/files.ts';
import { statusOf } from '../../../pod/control/status.ts';
import { type Memory, remember } from '../../../pod/plan/memory.ts';
import type { Observed } from '../../../pod/plan/observed.ts';
import type { Wanted } from '../../../pod/plan/situation.ts';
import { attached, container, exited, known, memory, nowMs, pod, sandbox, wanted } from './builders.ts';

const status = (of: { wanted?: Wanted; observed?: Observed[]; memory?: Memory }) => {
  const { observed = [] } = of;
  const remembered = remember(of.memory ?? attached(), observed, nowMs);
  return statusOf({ wanted: of.wanted ?? wanted(), observed, memory: remembered, events: [] });
};

describe('status of a pod', () => {
  const shown: Record<string, { of: Parameters<typeof status>[0]; is: [phase: string, reason: string] }> = {
    'that was just asked for': { of: { memory: memory() }, is: ['Pending', 'ContainerCreating'] },
    'that runs': { of: { observed: [sandbox(), container('a')] }, is: ['Running', 'Running'] },
    'that is being removed': {
      of: { wanted: wanted({}, { removal: { graceSeconds: undefined } }), observed: [container('a')] },
      is: ['Terminating', 'Terminating'],
    },
    'whose container waits for its next start': {
      of: {
        observed: [sandbox(), exited('a', 1, { attempt: 1 })],
        memory: attached({
          containers: {
            a: known('a', { attempt: 1, id: 'a-1', backoff: { delayMs: 10_000, sinceMs: nowMs } }),
          },
        }),
      },
      is: ['Running', 'CrashLoopBackOff'],
    },
    'whose image is not there': {
      of: {
        memory: attached({
          containers: {
            a: known('a', {
              id: undefined,
              trouble: { reason: 'ErrImagePull', message: 'no', untilMs: nowMs, delayMs: 1 },
            }),
          },
        }),
      },
      is: ['Pending', 'ErrImagePull'],
    },
    'that cannot be put on the network': {
      of: {
        memory: memory({ trouble: { reason: 'NetworkNotReady', message: 'no', untilMs: nowMs, delayMs: 1 } }),
      },
      is: ['Pending', 'NetworkNotReady'],
    },
    'whose init containers run': {
      of: {
        wanted: wanted({
          initContainers: [
            { name: 'x', image: 'i' },
            { name: 'y', image: 'i' },
          ],
        }),
        observed: [sandbox(), exited('x', 0, { role: 'init' }), container('y', { role: 'init' })],
      },
      is: ['Pending', 'Init:1/2'],
    },
    'that has ended well': {
      of: { observed: [exited('a', 0)], memory: memory({ ended: 'Succeeded' }) },
      is: ['Succeeded', 'Completed'],
    },
    'that has failed': {
      of: { observed: [exited('a', 2)], memory: memory({ ended: 'Failed' }) },
      is: ['Failed', 'Error'],
    },
  };
  for (const [what, { of, is }] of Object.entries(shown)) {
    it(`pod ${what}: ${is.join(', ')}`, () => {
      const { phase, reason } = status(of);
      assert.deepEqual([phase, reason], is);
    });
  }

  it('pod that is ready: shows its addresses and ready containers', () => {
    const ready = attached({ containers: { a: known('a', { ready: true }) } });
    const { addresses, ready: isReady } = status({ observed: [sandbox(), container('a')], memory: ready });
    assert.deepEqual(addresses, ['10.244.1.2']);
    assert.equal(isReady, true);
  });
});

it('labels in another order: the same pod', () => {
  const of = (labels: Record<string, string>) => contentOf({ ...pod(), labels }, undefined);
  assert.equal(of({ a: '1', b: '2' }), of({ b: '2', a: '1' }));
  assert.notEqual(of({ a: '1', b: '2' }), of({ a: '1', b: '3' }));
});
