/** Probes and restarts, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { idleScript, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('probes and restarts', () => {
  const fixture = podsFixture('probes');

  describe('probes:', () => {
    const quick = { periodSeconds: 1, failureThreshold: 2 };

    it('liveness fails: the container is restarted', async () => {
      const livenessProbe = { exec: { command: ['cat', '/tmp/alive'] }, ...quick };
      const main = shell('main', `echo >/tmp/alive; ${idleScript}`, { livenessProbe });
      await fixture.near.apply(manifest('alive', { containers: [main] }));
      await fixture.near.exec('alive', 'sh', '-c', 'busybox rm /tmp/alive');
      const pod = await fixture.near.until(
        'alive',
        ({ restarts, reason }) => restarts === 1 && reason === 'Running',
      );
      assert.ok(pod.ready);
    });

    it('readiness: the pod is ready once the probe succeeds', async () => {
      const readinessProbe = { httpGet: { port: 80, path: '/ok' }, ...quick };
      const main = shell('main', 'httpd -f -h /www -p 80', { readinessProbe });
      await fixture.near.apply(manifest('readiness', { containers: [main] }));
      assert.equal((await fixture.near.see('readiness'))?.ready, false);
      await fixture.near.exec('readiness', 'sh', '-c', 'echo >/www/ok');
      assert.equal((await fixture.near.until('readiness', ({ ready }) => ready)).restarts, 0);
    });

    it('startup probe: liveness is not probed before it succeeds', async () => {
      const startupProbe = { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 60 };
      const livenessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 1 };
      const main = shell('main', 'sleep 3; httpd -f -h /www -p 80', { startupProbe, livenessProbe });
      await fixture.near.apply(manifest('starts', { containers: [main] }));
      assert.equal((await fixture.near.until('starts', ({ ready }) => ready)).restarts, 0);
    });
  });

  it('container that keeps failing: restarted with a backoff', async () => {
    await fixture.near.apply(manifest('loop', { containers: [shell('main', 'echo once; exit 1')] }));
    const pod = await fixture.near.until('loop', ({ reason }) => reason === 'CrashLoopBackOff');
    assert.match(pod.message, /exit status 1/);
    assert.deepEqual(await fixture.lines('loop', '--previous'), ['once']);
  });
});
