/** What becomes of packets for subnets of the cluster network that no node leases. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { families, Ground } from './ground.ts';

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`subnets of an ${family} network that no node leases`, () => {
    const { network, flag, peerSubnet } = families[family];
    let ground: Ground;
    beforeEach(() => {
      ground = new Ground(family);
      ground.ip(flag, 'route', 'add', 'default', 'via', families[family].endpoint(154), 'dev', 'eth0');
    });
    afterEach(() => ground.close());

    const routes = () =>
      JSON.parse(ground.ip('-j', flag, 'route', 'show', network, 'proto', '87')).map(
        ({ type, metric }: { type: string; metric: number }) => [type, metric],
      );
    const unreachable = [['unreachable', 4294967295]];

    it('unreachable: one route of the worst metric, found right by the next pass', async () => {
      const asked = ground.state([ground.peer(2)], { unleased: 'unreachable' });
      const { done } = await ground.converge(asked);
      assert.ok(done.includes(`add route unreachable ${network}`), `${done}`);
      assert.deepEqual(routes(), unreachable);
      assert.deepEqual((await ground.converge(asked)).done, []);
      const address = peerSubnet(77)
        .replace(/\.0\/24/, '.7')
        .replace(/::\/64/, '::7');
      assert.throws(() => ground.ip(flag, 'route', 'get', address), /No route to host|unreachable/);
      assert.match(ground.ip(flag, 'route', 'get', peerSubnet(2).replace(/\/.*/, '')), / dev weft/);
    });

    it('removed by another program: put back', async () => {
      const asked = ground.state([ground.peer(2)], { unleased: 'unreachable' });
      await ground.converge(asked);
      ground.ip(flag, 'route', 'del', 'unreachable', network, 'metric', '4294967295');
      await ground.converge(asked);
      assert.deepEqual(routes(), unreachable);
    });

    it('blackhole in place of unreachable, then pass: replaced, then removed', async () => {
      await ground.converge(ground.state([], { unleased: 'unreachable' }));
      await ground.converge(ground.state([], { unleased: 'blackhole' }));
      assert.deepEqual(routes(), [['blackhole', 4294967295]]);
      await ground.converge(ground.state([]));
      assert.deepEqual(routes(), []);
    });

    it('list of peers not whole: an existing route stays', async () => {
      await ground.converge(ground.state([], { unleased: 'unreachable' }));
      await ground.converge(ground.state([], { complete: false }));
      assert.deepEqual(routes(), unreachable);
    });

    it('another program has a route for the network: none, and again one when that is gone', async () => {
      const asked = ground.state([ground.peer(2)], { unleased: 'unreachable' });
      await ground.converge(asked);
      const foreign = [network, 'via', families[family].endpoint(153), 'dev', 'eth0', 'metric', '50'];
      ground.ip(flag, 'route', 'add', ...foreign);
      await ground.converge(asked);
      assert.deepEqual(routes(), []);
      assert.match(ground.ip(flag, 'route', 'show', network), /metric 50/);
      ground.ip(flag, 'route', 'del', ...foreign);
      await ground.converge(asked);
      assert.deepEqual(routes(), unreachable);
    });

    it('default route and more specific foreign routes: no reason to leave it out', async () => {
      const foreign = [peerSubnet(200), 'via', families[family].endpoint(153), 'dev', 'eth0'];
      ground.ip(flag, 'route', 'add', ...foreign);
      await ground.converge(ground.state([], { unleased: 'unreachable' }));
      assert.deepEqual(routes(), unreachable);
    });

    it('backend direct, and a peer that comes: its own route is used', async () => {
      const backend = { type: 'direct', vni: 1, port: 8472, mtuBytes: undefined } as const;
      await ground.converge(ground.state([], { backend, unleased: 'unreachable' }));
      await ground.converge(ground.state([ground.peer(2)], { backend, unleased: 'unreachable' }));
      assert.deepEqual(routes(), unreachable);
      assert.match(ground.ip(flag, 'route', 'get', peerSubnet(2).replace(/\/.*/, '')), / dev eth0/);
    });
  });
}
