/** Recovery of a pod, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { manifest } from '../runtimes/pods.ts';
import { podsFixture } from './fixture.ts';

describe('recovery of a pod', () => {
  const fixture = podsFixture('recovery');

  it('docker restart of a container: one copy runs, and no second one beside it', async () => {
    await fixture.near.apply(manifest('restarted'));
    const copies = async () => {
      const filters = { label: ['weft.pod=default_restarted', 'weft.container=main'] };
      return (await fixture.docker.api.listContainers({ filters })).map(({ Id }) => Id);
    };
    const [id = ''] = await copies();
    await fixture.docker.api.getContainer(id).restart();
    await fixture.near.until('restarted', ({ restarts, reason }) => restarts >= 1 && reason === 'Running');
    for (const since = Date.now(); (await copies()).includes(id); ) {
      if (Date.now() - since > 10_000) throw new Error('the container that Docker restarted still runs');
    }
    assert.equal((await copies()).length, 1);
  });

  describe('pod keeps its address:', () => {
    /** A pod that runs; what is done to it; until a new container runs in it. */
    async function survives(name: string, harm: (id: string) => Promise<unknown>): Promise<void> {
      await fixture.near.apply(manifest(name));
      await fixture.far.apply(manifest('peer'));
      const before = await fixture.near.see(name);
      const [address = ''] = before?.addresses ?? [];
      await harm(await fixture.idOf(name));
      const now = await fixture.near.until(
        name,
        (pod) => pod.reason === 'Running' && pod.containers[0]?.id !== before?.containers[0]?.id,
      );
      assert.deepEqual(now.addresses, [address]);
      assert.ok(now.restarts >= 1);
      const inside = await fixture.near.exec(name, 'ip', '-4', 'address', 'show', 'dev', 'eth0');
      assert.ok(inside.stdout.includes(`${address}/`), inside.stdout);
      const ping = await fixture.far.exec('peer', 'ping', '-c', '1', '-W', '5', address);
      assert.equal(ping.status, 0, ping.stdout);
    }

    it('container is killed', () =>
      survives('killed', (id) => fixture.docker.api.getContainer(id).kill({ signal: 'SIGKILL' })));

    it('container is removed outside weft', () =>
      survives('removed', (id) => fixture.docker.api.getContainer(id).remove({ force: true })));

    it('pause container is removed outside weft', () =>
      survives('paused', async () =>
        fixture.docker.api.getContainer(await fixture.pauseOf('paused')).remove({ force: true }),
      ));

    it('pause container is restarted outside weft', () =>
      survives('again', async () =>
        fixture.docker.api.getContainer(await fixture.pauseOf('again')).restart(),
      ));

    it('Docker is killed and comes back', () =>
      survives('dockerd', async () => {
        await fixture.docker.halt('SIGKILL');
        await fixture.docker.resume();
      }));

    it('Docker is restarted', () =>
      survives('orderly', async () => {
        await fixture.docker.halt('SIGTERM');
        await fixture.docker.resume();
      }));

    it('weft-podd is killed, and a container with it', () =>
      survives('orphan', async (id) => {
        await fixture.near.daemon.stop('SIGKILL');
        await fixture.docker.api.getContainer(id).kill({ signal: 'SIGKILL' });
        await fixture.near.daemon.start();
      }));
  });

  it('weft-podd is killed, then started by apply: the pod runs on', async () => {
    await fixture.near.apply(manifest('calm'));
    const before = await fixture.near.see('calm');
    await fixture.near.daemon.stop('SIGKILL');
    assert.match((await fixture.near.ctl(['ls'])).stderr, /weft-podd is not running; start it/);
    assert.equal(await fixture.near.apply(manifest('calm')), 'pod calm unchanged\n');
    await fixture.near.daemon.untilRunning();
    const now = await fixture.near.until('calm', ({ reason }) => reason === 'Running');
    assert.deepEqual(now.containers, before?.containers);
  });

  it('weftd is killed and started again: the pod runs on', async () => {
    await fixture.near.apply(manifest('calm'));
    const before = await fixture.near.see('calm');
    await fixture.near.node.agent.stop('SIGKILL');
    await fixture.near.node.agent.start();
    const now = await fixture.near.until('calm', ({ reason }) => reason === 'Running');
    assert.deepEqual(now.containers, before?.containers);
  });

  it('weftd is stopped when a pod is removed: the DEL is done, and nothing is left', async () => {
    await fixture.near.apply(manifest('without'));
    await fixture.near.node.agent.stop();
    try {
      await fixture.near.remove('without');
    } finally {
      await fixture.near.node.agent.start();
    }
  });

  it('Docker is restarted with live-restore: the pod runs on', async () => {
    const settings = fixture.near.node.path('/run/docker/daemon.json');
    const restart = async (content: string): Promise<void> => {
      writeFileSync(settings, content);
      await fixture.docker.halt('SIGTERM');
      await fixture.docker.resume();
    };
    await restart('{"live-restore":true}');
    try {
      await fixture.near.apply(manifest('alive'));
      const before = await fixture.near.see('alive');
      await restart('{"live-restore":true}');
      assert.equal((await fixture.near.exec('alive', 'echo')).status, 0);
      const now = await fixture.near.see('alive');
      assert.deepEqual(
        [now?.containers[0]?.id, now?.addresses],
        [before?.containers[0]?.id, before?.addresses],
      );
    } finally {
      await fixture.near.remove('alive', '--ignore-not-found');
      await restart('{}');
    }
  });

  it('pause container is removed while weft-podd is stopped: rm removes the rest', async () => {
    await fixture.near.apply(manifest('lost'));
    await fixture.near.daemon.stop();
    await fixture.docker.api.getContainer(await fixture.pauseOf('lost')).remove({ force: true });
    await fixture.near.remove('lost');
    assert.equal((await fixture.docker.api.listContainers({ all: true })).length, 0);
  });
});
