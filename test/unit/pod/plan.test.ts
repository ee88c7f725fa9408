import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { afterRestart, type Backoff, restartAt } from '../../../pod/plan/backoff.ts';
import { type Memory, remember } from '../../../pod/plan/memory.ts';
import type { Observed } from '../../../pod/plan/observed.ts';
import { planPod } from '../../../pod/plan/plan.ts';
import type { Plan, Wanted } from '../../../pod/plan/situation.ts';
import { attached, container, exited, known, memory, nowMs, sandbox, uid, wanted } from './builders.ts';

const plan = (of: { wanted?: Wanted; observed?: Observed[]; memory?: Memory }): Plan => {
  const { observed = [] } = of;
  return planPod({
    wanted: of.wanted,
    observed,
    memory: remember(of.memory ?? memory(), observed, nowMs),
    nowMs,
  });
};

/** `start a`, `stop a-0`, `remove sandbox-1`, ... */
const words = ({ actions }: Plan): string[] =>
  actions.map((action) => {
    switch (action.kind) {
      case 'start':
        return `start ${action.container.name} ${action.attempt}`;
      case 'stop':
      case 'remove':
        return `${action.kind} ${action.container.id}`;
      case 'detach':
        return `detach ${action.attachment.sandboxId}`;
      case 'dropVolumes':
        return `dropVolumes ${action.uid}`;
      case 'end':
        return `end ${action.phase}`;
      default:
        return action.kind;
    }
  });

const two = {
  containers: [
    { name: 'a', image: 'i:1' },
    { name: 'b', image: 'i:1' },
  ],
};
const inits = {
  initContainers: [
    { name: 'x', image: 'i:1' },
    { name: 'y', image: 'i:1' },
  ],
};

describe('plan of a pod', () => {
  it('new pod: sandbox, attachment, then the containers in order', () => {
    assert.deepEqual(words(plan({ wanted: wanted(two) })), ['makeSandbox']);
    assert.deepEqual(words(plan({ wanted: wanted(two), observed: [sandbox()] })), ['attach']);
    assert.deepEqual(words(plan({ wanted: wanted(two), observed: [sandbox()], memory: attached() })), [
      'start a 0',
      'start b 0',
    ]);
  });

  it('init containers: run one after another, each to its end, before the others', () => {
    const of = (observed: Observed[]) =>
      words(plan({ wanted: wanted(inits), observed: [sandbox(), ...observed], memory: attached() }));
    const init = { role: 'init' } as const;
    assert.deepEqual(of([]), ['start x 0']);
    assert.deepEqual(of([container('x', init)]), []);
    assert.deepEqual(of([exited('x', 0, init)]), ['start y 0']);
    assert.deepEqual(of([exited('x', 1, init)]), ['start x 1']);
    assert.deepEqual(of([exited('x', 0, init), exited('y', 0, init)]), ['start a 0']);
  });

  it('pod as desired: nothing is done', () => {
    const observed = [sandbox(), container('a')];
    assert.deepEqual(plan({ wanted: wanted(), observed, memory: attached() }), {
      actions: [],
      wakeAtMs: undefined,
    });
  });

  const ends: [policy: string, code: number, does: string[]][] = [
    ['Always', 0, ['start a 1']],
    ['Always', 1, ['start a 1']],
    ['OnFailure', 1, ['start a 1']],
    ['OnFailure', 0, ['end Succeeded']],
    ['Never', 0, ['end Succeeded']],
    ['Never', 3, ['end Failed']],
  ];
  for (const [restartPolicy, code, does] of ends) {
    it(`restartPolicy ${restartPolicy}, exit status ${code}: ${does.join()}`, () => {
      const observed = [sandbox(), exited('a', code)];
      assert.deepEqual(
        words(plan({ wanted: wanted({ restartPolicy }), observed, memory: attached() })),
        does,
      );
    });
  }

  it('second restart: waits, and returns until when', () => {
    const backoff = { delayMs: 10_000, sinceMs: nowMs - 5_000 };
    const planned = plan({
      wanted: wanted(),
      observed: [sandbox(), exited('a', 1, { attempt: 1 })],
      memory: attached({ containers: { a: known('a', { attempt: 1, id: 'a-1', backoff }) } }),
    });
    assert.deepEqual(planned, { actions: [], wakeAtMs: nowMs + 10_000 });
  });

  it('container removed outside weft: started again', () => {
    const remembered = attached({ containers: { a: known('a') } });
    assert.deepEqual(words(plan({ wanted: wanted(), observed: [sandbox()], memory: remembered })), [
      'start a 1',
    ]);
  });

  it('container that had succeeded is removed: not started again', () => {
    const exit = { code: 0, atMs: 1, reason: 'Completed', message: '' };
    const remembered = attached({ containers: { a: known('a', { exit }) } });
    const planned = plan({
      wanted: wanted({ restartPolicy: 'OnFailure' }),
      observed: [sandbox()],
      memory: remembered,
    });
    assert.deepEqual(words(planned), ['end Succeeded']);
  });

  it('probe failed: the container is ended with the grace period of the probe', () => {
    const condemned = { reason: 'liveness', graceSeconds: 3 };
    const planned = plan({
      wanted: wanted(),
      observed: [sandbox(), container('a')],
      memory: attached({ containers: { a: known('a', { condemned }) } }),
    });
    assert.deepEqual(words(planned), ['stop a-0']);
    assert.equal(planned.actions[0]?.kind === 'stop' && planned.actions[0].graceSeconds, 3);
  });

  const lost: Record<string, Observed[]> = {
    'was removed': [],
    'has ended': [sandbox({ state: 'exited' })],
    'was restarted by somebody': [sandbox({ startedAt: 'later' })],
  };
  for (const [how, left] of Object.entries(lost)) {
    it(`sandbox that ${how}: its containers are ended, it is detached and replaced`, () => {
      const remembered = attached({ containers: { a: known('a') } });
      const of = (observed: Observed[], of: Memory) =>
        words(plan({ wanted: wanted(), observed, memory: of }));
      assert.deepEqual(of([...left, container('a')], remembered), ['stop a-0']);
      const removal = left.map(({ id }) => `remove ${id}`);
      assert.deepEqual(of([...left, exited('a', 137)], remembered), ['detach sandbox-1', ...removal]);
      assert.deepEqual(of([exited('a', 137)], { ...remembered, attachments: [] }), ['makeSandbox']);
    });
  }

  it('restartPolicy Never: the pod is not started a second time', () => {
    const planned = plan({
      wanted: wanted({ restartPolicy: 'Never' }),
      observed: [exited('a', 137)],
      memory: memory({ containers: { a: known('a') } }),
    });
    assert.deepEqual(words(planned), ['end Failed']);
  });

  it('ended pod: detached, its containers are kept for their logs', () => {
    const remembered = attached({ ended: 'Succeeded' });
    const observed = [sandbox(), exited('a', 0)];
    const of = { wanted: wanted({ restartPolicy: 'Never' }) };
    assert.deepEqual(words(plan({ ...of, observed, memory: remembered })), [
      'detach sandbox-1',
      'remove sandbox-1',
    ]);
    assert.deepEqual(
      words(plan({ ...of, observed: [exited('a', 0)], memory: { ...remembered, attachments: [] } })),
      [],
    );
  });

  it('removal: containers first, then the network, then the rest', () => {
    const removal = { removal: { graceSeconds: 7 } };
    const stopping = plan({
      wanted: wanted({}, removal),
      observed: [sandbox(), container('a')],
      memory: attached(),
    });
    assert.deepEqual(words(stopping), ['stop a-0']);
    assert.equal(stopping.actions[0]?.kind === 'stop' && stopping.actions[0].graceSeconds, 7);
    const of = (observed: Observed[], memory: Memory) =>
      words(plan({ wanted: wanted({}, removal), observed, memory }));
    assert.deepEqual(of([sandbox(), exited('a', 0)], attached()), ['detach sandbox-1', 'remove sandbox-1']);
    assert.deepEqual(of([exited('a', 0)], memory()), ['remove a-0', `dropVolumes ${uid}`, 'forget']);
  });

  it('order is absent: the pod is removed', () => {
    assert.deepEqual(words(plan({ observed: [sandbox(), container('a')], memory: attached() })), [
      'stop a-0',
    ]);
    assert.deepEqual(words(plan({ memory: attached() })), ['detach sandbox-1']);
  });

  it('changed manifest: the pod is replaced', () => {
    const changed = { wanted: wanted({}, { uid: 'uid-2' }) };
    assert.deepEqual(words(plan({ ...changed, observed: [sandbox(), container('a')], memory: attached() })), [
      'stop a-0',
    ]);
    assert.deepEqual(words(plan({ ...changed, observed: [sandbox(), exited('a', 0)], memory: attached() })), [
      'detach sandbox-1',
      'remove sandbox-1',
    ]);
    assert.deepEqual(words(plan({ ...changed, observed: [exited('a', 0)], memory: memory() })), [
      'remove a-0',
      `dropVolumes ${uid}`,
      'adopt',
    ]);
  });

  it('ended containers: the last one is kept, older ones are removed', () => {
    const observed = [
      sandbox(),
      exited('a', 1),
      exited('a', 1, { attempt: 1 }),
      container('a', { attempt: 2 }),
    ];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: attached() })), ['remove a-0']);
  });

  it('failed attempt: repeated when its delay is over', () => {
    const trouble = { reason: 'NetworkNotReady', message: '', untilMs: nowMs + 1, delayMs: 1 };
    assert.deepEqual(plan({ wanted: wanted(), memory: memory({ trouble }) }), {
      actions: [],
      wakeAtMs: nowMs + 1,
    });
  });
});

describe('restart delay', () => {
  it('none, then 10 s doubling to 5 min, reset after 10 min', () => {
    const delays: number[] = [];
    let backoff: Backoff | undefined;
    let endedMs = nowMs;
    for (let restart = 0; restart < 8; restart++) {
      const atMs = restartAt(backoff, endedMs);
      delays.push((atMs - endedMs) / 1000);
      backoff = afterRestart(backoff, atMs);
      endedMs = atMs + 1000;
    }
    assert.deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    const longAfter = endedMs + 601_000;
    assert.equal(restartAt(backoff, longAfter), longAfter);
    assert.equal(afterRestart(backoff, longAfter).delayMs, 10_000);
  });
});

describe('wall clock that was a year ahead', () => {
  const year = 365 * 86_400_000;
  it('container ended in the future: it may be started now', () => {
    const backoff = afterRestart(undefined, nowMs + year);
    assert.equal(restartAt(backoff, nowMs + year, nowMs), nowMs);
  });
  it('last restart in the future, container ended now: it may be started now', () => {
    assert.equal(restartAt(afterRestart(undefined, nowMs + year), nowMs, nowMs), nowMs);
  });
  it('failed attempt in the future: the next one is made now', () => {
    const trouble = { reason: 'SandboxFailed', message: '', untilMs: nowMs + year, delayMs: 10_000 };
    const { actions } = plan({ wanted: wanted(), memory: memory({ trouble }) });
    assert.notEqual(actions.length, 0);
  });
});

describe('plan of a pod, after a failure of the past', () => {
  const trouble = (reason: string) => ({ reason, message: '', untilMs: nowMs + 60_000, delayMs: 1 });
  const removed = wanted({}, { removal: { graceSeconds: undefined } });
  const changed = wanted({}, { uid: '1f2e3d4c-0000-4000-8000-000000000002' });
  for (const reason of ['SandboxFailed', 'NetworkNotReady']) {
    const past = memory({ trouble: trouble(reason) });
    it(`${reason}, pod is removed: its sandbox is removed at once`, () =>
      assert.deepEqual(
        words(plan({ wanted: removed, observed: [sandbox({ state: 'created' })], memory: past })),
        ['remove sandbox-1'],
      ));
    it(`${reason}, pod is removed and nothing is left: it is forgotten`, () =>
      assert.deepEqual(words(plan({ wanted: removed, memory: past })), [`dropVolumes ${uid}`, 'forget']));
    it(`${reason}, manifest is changed: the new one is adopted at once`, () =>
      assert.deepEqual(words(plan({ wanted: changed, memory: past })), [`dropVolumes ${uid}`, 'adopt']));
    it(`${reason}, DEL is owed: it is done at once`, () => {
      const owed = attached({ trouble: trouble(reason) });
      assert.deepEqual(words(plan({ wanted: removed, memory: owed })), ['detach sandbox-1']);
    });
  }
  it('NetworkNotReleased: DEL waits for its next attempt', () => {
    const owed = attached({ trouble: trouble('NetworkNotReleased') });
    assert.deepEqual(plan({ wanted: removed, memory: owed }), { actions: [], wakeAtMs: nowMs + 60_000 });
  });
});

describe('plan of a container that was restarted outside weft', () => {
  it('its exit was seen: the container is stopped, and no other is started beside it', () => {
    const exit = { code: 0, atMs: nowMs - 1, reason: 'Completed', message: '' };
    const remembered = attached({ containers: { a: known('a', { exit }) } });
    const observed = [sandbox(), container('a')];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: remembered })), ['stop a-0']);
  });

  it('its exit was not seen: another start time is another life, and it is stopped', () => {
    const remembered = attached({ containers: { a: known('a', { startedAt: 'then' }) } });
    const observed = [sandbox(), container('a', { startedAt: 'later' })];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: remembered })), ['stop a-0']);
  });

  it('another was started meanwhile: the old one is stopped, the new one is kept', () => {
    const remembered = attached({ containers: { a: known('a', { attempt: 1, id: 'a-1' }) } });
    const observed = [sandbox(), container('a'), container('a', { attempt: 1 })];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: remembered })), ['stop a-0']);
  });

  it('stopped again: the next one is started', () => {
    const exit = { code: 0, atMs: nowMs - 1, reason: 'Completed', message: '' };
    const remembered = attached({ containers: { a: known('a', { exit }) } });
    const observed = [sandbox(), exited('a', 143)];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: remembered })), ['start a 1']);
  });

  it('an init container that had completed: it is stopped, the pod goes on', () => {
    const exit = { code: 0, atMs: nowMs - 1, reason: 'Completed', message: '' };
    const spec = { initContainers: [{ name: 'x', image: 'i:1' }], restartPolicy: 'Never' };
    const remembered = attached({ containers: { x: known('x', { exit }), a: known('a') } });
    const of = (x: Observed) =>
      words(plan({ wanted: wanted(spec), observed: [sandbox(), container('a'), x], memory: remembered }));
    assert.deepEqual(of(container('x', { role: 'init' })), ['stop x-0']);
    assert.deepEqual(of(exited('x', 143, { role: 'init' })), []);
  });

  it('start time is recorded when it is first seen: nothing is done', () => {
    const remembered = attached({ containers: { a: known('a') } });
    const observed = [sandbox(), container('a', { startedAt: 'first' })];
    assert.deepEqual(words(plan({ wanted: wanted(), observed, memory: remembered })), []);
    assert.equal(remember(remembered, observed, nowMs).containers.a?.startedAt, 'first');
  });

  it('memory was lost: a running container is adopted, not stopped', () =>
    assert.deepEqual(
      words(plan({ wanted: wanted(), observed: [sandbox(), container('a')], memory: memory({ uid: '' }) })),
      ['dropVolumes ', 'adopt'],
    ));
});

describe('plan of a pod with sidecars', () => {
  const sidecar = (name: string, over: object = {}) => ({
    name,
    image: 'i:1',
    restartPolicy: 'Always',
    ...over,
  });
  const init = { name: 'x', image: 'i:1' };
  const spec = { initContainers: [sidecar('s1'), init, sidecar('s2')] };
  const done = { code: 0, atMs: nowMs - 1, reason: 'Completed', message: '' };
  const up = (name: string) => known(name, { started: true, ready: true, startedAt: 'then' });
  const of = (containers: Memory['containers'], observed: Observed[], over: object = {}) =>
    words(
      plan({
        wanted: wanted({ ...spec, ...over }),
        observed: [sandbox(), ...observed],
        memory: attached({ containers }),
      }),
    );
  const running = (name: string, over: object = {}) => container(name, { role: 'init', ...over });

  it('new pod: sidecars start in order with the init containers, each once the one before has started', () => {
    assert.deepEqual(of({}, []), ['start s1 0']);
    const starting = known('s1', { startedAt: 'then' });
    assert.deepEqual(of({ s1: starting }, [running('s1')]), []);
    assert.deepEqual(of({ s1: up('s1') }, [running('s1')]), ['start x 0']);
    const x = known('x', { exit: done });
    assert.deepEqual(of({ s1: up('s1'), x }, [running('s1')]), ['start s2 0']);
    assert.deepEqual(of({ s1: up('s1'), x, s2: up('s2') }, [running('s1'), running('s2')]), ['start a 0']);
  });

  it('sidecar ends while the pod runs: started again with every restartPolicy', () => {
    const containers = { s1: up('s1'), x: known('x', { exit: done }), s2: up('s2'), a: up('a') };
    const observed = [exited('s1', 0, { role: 'init' }), running('s2'), container('a')];
    for (const restartPolicy of ['Always', 'OnFailure', 'Never']) {
      assert.deepEqual(of(containers, observed, { restartPolicy }), ['start s1 1']);
    }
  });

  it('containers have ended: the pod ends, though sidecars run', () => {
    const containers = { s1: up('s1'), x: known('x', { exit: done }), s2: up('s2'), a: up('a') };
    const observed = [running('s1'), running('s2'), exited('a', 0)];
    assert.deepEqual(of(containers, observed, { restartPolicy: 'OnFailure' }), ['end Succeeded']);
  });

  it('sidecar has failed: the pod has not', () => {
    const containers = { s1: up('s1'), x: known('x', { exit: done }), s2: up('s2'), a: up('a') };
    const observed = [exited('s1', 1, { role: 'init' }), running('s2'), exited('a', 0)];
    assert.deepEqual(of(containers, observed, { restartPolicy: 'Never' }), ['end Succeeded']);
  });

  it('pod is removed: containers end first, then sidecars in reverse order, with what is left of the grace', () => {
    const stop = (stage: number) => ({ graceSeconds: 30, preStop: undefined, stage });
    const removal = wanted(spec, { removal: { graceSeconds: undefined } });
    const s1 = running('s1', { stop: stop(2) });
    const s2 = running('s2', { stop: stop(1) });
    const remembered = (stopping: Memory['stopping']) =>
      attached({ containers: { s1: up('s1'), s2: up('s2'), a: up('a') }, stopping });
    const next = (observed: Observed[], stopping: Memory['stopping'] = {}) =>
      plan({ wanted: removal, observed: [sandbox(), ...observed], memory: remembered(stopping) });
    assert.deepEqual(words(next([s1, s2, container('a')])), ['stop a-0']);
    const second = next([s1, s2, exited('a', 0)], { 'a-0': nowMs - 10_000 });
    assert.deepEqual(words(second), ['stop s2-0']);
    assert.equal(second.actions[0]?.kind === 'stop' && second.actions[0].graceSeconds, 20);
    const last = next([s1, exited('s2', 0, { role: 'init', stop: stop(1) }), exited('a', 0)], {
      'a-0': nowMs - 60_000,
      's2-0': nowMs - 29_000,
    });
    assert.deepEqual(words(last), ['stop s1-0']);
    assert.equal(last.actions[0]?.kind === 'stop' && last.actions[0].graceSeconds, 2);
  });
});
