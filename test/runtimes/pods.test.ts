/** Pods on Docker, with a real dockerd on two nodes of a lab, in short: test/pods has the whole of it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Docker } from './docker.ts';
import { archive, RuntimeGround } from './ground.ts';
import { container, manifest, Pods } from './pods.ts';

describe('pods on Docker', () => {
  let ground: RuntimeGround;
  const dockers: Docker[] = [];
  let [near, far] = [] as unknown as [Pods, Pods];

  before(async () => {
    ground = await RuntimeGround.raise('pods');
    for (const node of ground.lab.nodes) {
      dockers.push(await Docker.start({ node, archive, cgroup: ground.cgroup }));
    }
    [near, far] = ground.lab.nodes.map((node) => new Pods(node)) as [Pods, Pods];
  });

  after(async () => {
    try {
      for (const docker of dockers) await docker.stop();
    } finally {
      await ground?.raze();
    }
  });

  it('reach one another across nodes, and are gone without a trace when they are removed', async () => {
    await near.apply(manifest('a', { containers: [container('main'), container('side')] }));
    await far.apply(manifest('b'));
    const [a, b] = [await near.see('a'), await far.see('b')];
    assert.equal(a?.reason, 'Running');
    const ping = await near.exec('a', 'ping', '-c', '1', '-W', '5', b?.addresses[0] ?? '');
    assert.equal(ping.status, 0, ping.stdout + ping.stderr);
    assert.match(
      await near.apply(manifest('a', { containers: [container('main'), container('side')] })),
      /unchanged/,
    );
    await near.remove('a');
    await far.remove('b');
    for (const pods of [near, far]) assert.deepEqual(await ground.leftovers(pods.node), []);
  });
});
