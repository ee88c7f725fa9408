/** Refused pods, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, manifest } from '../runtimes/pods.ts';
import { podsFixture } from './fixture.ts';

describe('refused pods', () => {
  const fixture = podsFixture('refusals');

  describe('refused pod leaves the node unchanged:', () => {
    const refused: Record<string, { text: string; says: RegExp }> = {
      'image is absent': {
        text: manifest('no', {
          containers: [{ name: 'main', image: 'localhost/weft/none:1', imagePullPolicy: 'Never' }],
        }),
        says: /image localhost\/weft\/none:1 not found on this host/,
      },
      'image cannot be pulled': {
        text: manifest('no', { containers: [{ name: 'main', image: '127.0.0.1:1/none:1' }] }),
        says: /failed to pull image 127\.0\.0\.1:1\/none:1: .*docker load/,
      },
      'two containers on one port': {
        text: manifest('no', {
          containers: [
            container('a', { ports: [{ containerPort: 80 }] }),
            container('b', { ports: [{ containerPort: 80 }] }),
          ],
        }),
        says: /80\/TCP is in use by container a/,
      },
      'hostPath is absent': {
        text: manifest('no', { volumes: [{ name: 'v', hostPath: { path: '/nowhere', type: 'Directory' } }] }),
        says: /\/nowhere is not a folder of this host/,
      },
    };
    for (const [what, { text, says }] of Object.entries(refused)) {
      it(what, async () => {
        const { status, stderr } = await fixture.near.ctl(['apply', '-f', '-'], text);
        assert.equal(status, 1);
        assert.match(stderr, says);
        assert.deepEqual(await fixture.near.list(), []);
      });
    }

    it('unsupported field: refused with --strict, otherwise a warning', async () => {
      const text = manifest('strict', { nodeName: 'node-1' });
      const { status, stderr } = await fixture.near.ctl(['apply', '--strict', '-f', '-'], text);
      assert.equal(status, 1);
      assert.match(stderr, /stdin:1:\d+: spec\.nodeName: is ignored/);
      const warned = await fixture.near.ctl(['apply', '-f', '-'], text);
      assert.equal(warned.status, 0);
      assert.match(warned.stderr, /^warning: stdin:1:\d+: spec\.nodeName/);
    });

    it('host port is in use', async () => {
      const ports = (hostPort: number) => ({
        containers: [container('main', { ports: [{ containerPort: 80, hostPort }] })],
      });
      await fixture.near.apply(manifest('has', ports(8086)));
      const clash = await fixture.near.ctl(['apply', '-f', '-'], manifest('wants', ports(8086)));
      assert.match(clash.stderr, /host port 8086\/TCP is in use by pod has/);
      const listening = await fixture.near.ctl(['apply', '-f', '-'], manifest('wants', ports(9472)));
      // The agent's own page is on the loopback address; a pod would have it on every address.
      assert.match(listening.stderr, /host port 9472\/TCP is in use by a process of this host/);
      assert.deepEqual(
        (await fixture.near.list()).map(({ name }) => name),
        ['has'],
      );
    });

    it('command is not found: the pod is kept and shows the reason', async () => {
      await fixture.near.apply(
        manifest('typo', { containers: [container('main', { command: ['/nothing'] })] }),
      );
      const pod = await fixture.near.until('typo', ({ restarts }) => restarts > 0);
      assert.match(pod.message, /nothing/);
    });

    it('Docker is unreachable', async () => {
      await fixture.docker.halt('SIGTERM');
      try {
        const { status, stderr } = await fixture.near.ctl(['apply', '-f', '-'], manifest('no'));
        assert.equal(status, 1);
        assert.match(stderr, /Docker is unreachable on \/var\/run\/docker\.sock .*systemctl start docker/);
      } finally {
        await fixture.docker.resume();
      }
      assert.deepEqual(await fixture.near.list(), []);
    });
  });
});
