/** An overlay that is notified: it hears of every loss, and puts it right without reading all there is. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { families, Ground, macOf } from './ground.ts';
import { type Listening, listen } from './listen.ts';

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`an ${family} overlay that listens`, () => {
    const values = families[family];
    let ground: Ground;
    const peer = (...args: Parameters<Ground['peer']>) => ground.peer(...args);
    const state = (...args: Parameters<Ground['state']>) => ground.state(...args);
    before(() => {
      ground = new Ground(family);
    });
    after(() => ground.close());

    let listening: Listening;
    const peers = () => state([peer(2), peer(3)]);
    const end = values.peerSubnet(2).replace(/\/.*/, '');
    before(async () => {
      await ground.converge(peers());
      listening = listen(ground, (message) => ground.overlay.observe(message));
    });
    after(() => listening.stop());

    const damages: Record<string, { damage: () => unknown; told: string }> = {
      'a route': {
        damage: () => ground.ip(values.flag, 'route', 'del', values.peerSubnet(2)),
        told: 'route gone',
      },
      'a route that leads elsewhere': {
        damage: () =>
          ground.ip(
            ...[values.flag, 'route', 'replace', values.peerSubnet(2), 'via', end, 'dev', values.device],
            ...['onlink', 'proto', '87', 'mtu', '1300'],
          ),
        told: 'route changed',
      },
      'a neighbour': {
        damage: () => ground.ip(values.flag, 'neigh', 'del', end, 'dev', values.device),
        told: 'neighbour changed',
      },
      'a neighbour with another MAC': {
        damage: () => ground.ip('neigh', 'replace', end, 'lladdr', macOf(77), 'dev', values.device),
        told: 'neighbour changed',
      },
      'a forwarding entry': {
        damage: () => ground.bridge('fdb', 'del', macOf(2), 'dev', values.device, 'dst', values.endpoint(2)),
        told: 'fdb gone',
      },
      'forwarding entries, flushed': {
        damage: () => ground.bridge('fdb', 'flush', 'dev', values.device),
        told: 'fdb gone',
      },
      'an entry too many': {
        damage: () =>
          ground.bridge('fdb', 'add', macOf(66), 'dev', values.device, 'dst', values.endpoint(66)),
        told: 'stray fdb',
      },
      'the device’s MTU': {
        damage: () => ground.ip('link', 'set', values.device, 'mtu', '1300'),
        told: 'device link',
      },
      'the device': { damage: () => ground.ip('link', 'del', values.device), told: 'device link' },
      'the underlay, down and up': {
        damage: () => {
          ground.ip('link', 'set', 'eth0', 'down');
          ground.ip('link', 'set', 'eth0', 'up');
          ground.addUnderlayAddress();
        },
        told: 'underlay link',
      },
    };
    for (const [what, { damage, told }] of Object.entries(damages)) {
      it(`is told of the loss of ${what}, and puts it right without reading all there is`, async () => {
        const before = ground.snapshot();
        damage();
        assert.ok((await listening.told()).includes(told), `told of: ${told}`);
        const { problems } = await ground.repair(peers());
        assert.deepEqual(problems, []);
        assert.equal(ground.snapshot(), before);
        await listening.told();
        assert.deepEqual((await ground.repair(peers())).done, []);
      });
    }

    it('is not told of its own work', async () => {
      await ground.repair(state([peer(2), peer(3), peer(4)]));
      assert.deepEqual(await listening.told(), []);
      assert.equal(ground.routes().length, 3);
      await ground.repair(peers());
      assert.deepEqual(await listening.told(), []);
      assert.equal(ground.routes().length, 2);
    });

    it('entry that another program keeps removing: repaired ever more slowly, and one problem', async () => {
      const fought = state([peer(2), peer(9)]);
      let { problems } = await ground.repair(fought);
      let repairs = 0;
      for (let n = 0; n < 40; n++) {
        ground.ip(values.flag, 'route', 'flush', values.peerSubnet(9));
        await listening.told();
        ({ problems } = await ground.repair(fought));
        repairs += ground.routes().length - 1;
      }
      assert.ok(repairs < 20, `${repairs} repairs of 40 losses`);
      assert.equal(problems.length, 1);
      assert.match(
        problems[0] ?? '',
        new RegExp(
          `^route ${values.peerSubnet(9)}.* dev ${values.device}: another program keeps removing it`,
        ),
      );
      await ground.converge(peers());
    });
  });
}
