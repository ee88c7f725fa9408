/** Life of a pod, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('life of a pod', () => {
  const fixture = podsFixture('lifecycle');

  it('restartPolicy OnFailure and Never: the pod ends and its address is released', async () => {
    const restartPolicy = 'OnFailure';
    await fixture.near.apply(manifest('job', { restartPolicy, containers: [shell('main', 'echo done')] }));
    const job = await fixture.near.until(
      'job',
      ({ phase, addresses }) => phase === 'Succeeded' && addresses.length === 0,
    );
    assert.equal(job.reason, 'Completed');
    assert.deepEqual(job.addresses, []);
    assert.deepEqual(await fixture.lines('job'), ['done']);
    const failing = await fixture.near.ctl(
      ['apply', '-f', '-'],
      manifest('bad', { restartPolicy: 'Never', containers: [shell('main', 'exit 3')] }),
    );
    const bad = await fixture.near.until('bad', ({ phase }) => phase === 'Failed');
    assert.match(bad.message, /exit status 3/);
    assert.ok([0, 1].includes(failing.status));
  });

  it('rm: preStop, signal, then SIGKILL after the grace period', async () => {
    // It says what it is told, and takes its time.
    const told = shell(
      'main',
      'trap "echo term; sleep 1; echo bye; exit 0" TERM; while :; do sleep 1 & wait $!; done',
      {
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo preStop >/proc/1/fd/1'] } } },
      },
    );
    const deaf = shell('deaf', 'trap "" TERM; while :; do sleep 1; done');
    await fixture.near.apply(
      manifest('slow', { terminationGracePeriodSeconds: 4, containers: [told, deaf] }),
    );
    const logs = fixture.near.ctl(['logs', '-f', 'slow', '-c', 'main']);
    const since = Date.now();
    await fixture.near.remove('slow');
    assert.ok(Date.now() - since >= 4_000, 'the deaf one was given its grace');
    assert.deepEqual((await logs).stdout.trim().split('\n'), ['preStop', 'term', 'bye']);
  });

  it('rm --grace-period 0 during a removal: the pod is removed at once', async () => {
    const deaf = shell('main', 'trap "" TERM; while :; do sleep 1; done');
    await fixture.near.apply(manifest('deaf', { terminationGracePeriodSeconds: 600, containers: [deaf] }));
    await fixture.near.remove('deaf', '--timeout', '0');
    await fixture.near.until('deaf', ({ phase }) => phase === 'Terminating');
    await fixture.near.remove('deaf', '--grace-period', '0');
    assert.equal(await fixture.near.see('deaf'), undefined);
  });

  it('changed manifest: the pod is replaced and keeps its address', async () => {
    await fixture.near.apply(manifest('same'));
    const before = await fixture.near.see('same');
    const changed = manifest('same', {
      containers: [container('main', { env: [{ name: 'A', value: 'b' }] })],
    });
    assert.match(await fixture.near.apply(changed), /pod same changed, it is replaced/);
    const now = await fixture.near.see('same');
    assert.notEqual(now?.containers[0]?.id, before?.containers[0]?.id);
    assert.deepEqual(now?.addresses, before?.addresses);
    assert.match((await fixture.near.exec('same', 'sh', '-c', 'echo $A')).stdout, /^b$/m);
  });
});
