/** overlay/ against the kernel: whatever state a host is in, one pass makes it what the peers ask for (I4). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DIRECT_PROBE_MARK } from '../../../agent/overlay/direct-probing.ts';
import { Overlay } from '../../../agent/overlay/overlay.ts';
import { cidr, formatCidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import { linkByName } from '../../../kernel/link.ts';
import { families, Ground, macOf } from './ground.ts';

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`an ${family} overlay`, () => {
    const values = families[family];
    let ground: Ground;
    const peer = (...args: Parameters<Ground['peer']>) => ground.peer(...args);
    const state = (...args: Parameters<Ground['state']>) => ground.state(...args);
    before(() => {
      ground = new Ground(family);
    });
    after(() => ground.close());

    it('makes the device and per peer one route, one neighbour and one forwarding entry', async () => {
      const { problems, done } = await ground.converge(state([peer(2), peer(3)]));
      assert.deepEqual(problems, []);
      const via = values.peerSubnet(2).replace(/\/.*/, '');
      assert.ok(
        done.includes(`add route ${values.peerSubnet(2)} via ${via} dev ${values.device}`),
        `${done}`,
      );
      const [device] = JSON.parse(ground.ip('-d', '-j', 'address', 'show', values.device));
      assert.equal(device.address, macOf(1));
      assert.equal(device.mtu, values.deviceMtuBytes);
      const { info_data: data } = device.linkinfo;
      assert.deepEqual([data.id, data.port, data.learning, data.link], [1, 8472, false, 'eth0']);
      assert.deepEqual(
        device.addr_info.map((a: { local: string; prefixlen: number }) => `${a.local}/${a.prefixlen}`),
        [formatCidr(cidr(values.subnet)).replace(/\/.*/, family === 'ipv4' ? '/32' : '/128')],
      );
      assert.deepEqual(
        ground.routes().map((route) => [route.dst, route.gateway, route.dev, route.flags.includes('onlink')]),
        [2, 3].map((n) => [
          values.peerSubnet(n),
          values.peerSubnet(n).replace(/\/.*/, ''),
          values.device,
          true,
        ]),
      );
      const neighbours = JSON.parse(
        ground.ip(values.flag, '-j', 'neigh', 'show', 'dev', values.device, 'nud', 'permanent'),
      );
      assert.deepEqual(neighbours.map((n: { lladdr: string }) => n.lladdr).sort(), [macOf(2), macOf(3)]);
      for (const n of [2, 3]) {
        assert.match(
          ground.bridge('fdb', 'show', 'dev', values.device),
          new RegExp(`^${macOf(n)} dst ${values.endpoint(n)} self permanent$`, 'm'),
        );
      }
    });

    it('finds nothing to do when nothing changed', async () => {
      assert.deepEqual((await ground.converge(state([peer(2), peer(3)]))).done, []);
    });

    const damages: Record<string, string[][]> = {
      'a route': [[values.flag, 'route', 'del', values.peerSubnet(2)]],
      'a neighbour': [[values.flag, 'neigh', 'flush', 'dev', values.device, 'nud', 'permanent']],
      'the device’s address': [[values.flag, 'address', 'flush', 'dev', values.device, 'scope', 'global']],
      'the device’s state': [['link', 'set', values.device, 'down']],
      'the device’s routes, by a flap': [
        ['link', 'set', values.device, 'down'],
        ['link', 'set', values.device, 'up'],
      ],
      'the device’s MAC': [['link', 'set', values.device, 'address', '02:ff:ff:ff:ff:ff']],
      'the device’s MTU': [['link', 'set', values.device, 'mtu', '1300']],
      'the device': [['link', 'del', values.device]],
    };
    for (const [what, commands] of Object.entries(damages)) {
      it(`puts back ${what}`, async () => {
        const before = ground.snapshot();
        for (const command of commands) ground.ip(...command);
        assert.notEqual(ground.damaged(), before);
        const { problems } = await ground.converge(state([peer(2), peer(3)]));
        assert.deepEqual(problems, []);
        assert.equal(ground.snapshot(), before);
      });
    }

    it('puts back a forwarding entry', async () => {
      const before = ground.snapshot();
      ground.bridge('fdb', 'del', macOf(2), 'dev', values.device, 'dst', values.endpoint(2));
      await ground.converge(state([peer(2), peer(3)]));
      assert.equal(ground.snapshot(), before);
    });

    it('follows a peer that changed its endpoint and MAC, and leaves nothing stale', async () => {
      await ground.converge(
        state([peer(2, { endpoint: ip(values.endpoint(9)), vtepMac: macOf(9) }), peer(3)]),
      );
      const fdb = ground.bridge('fdb', 'show', 'dev', values.device);
      assert.match(fdb, new RegExp(`${macOf(9)} dst ${values.endpoint(9)}`));
      assert.doesNotMatch(fdb, new RegExp(macOf(2)));
    });

    it('sweeps what an earlier life left, but only once the list of peers is complete', async () => {
      await ground.converge(state([peer(2)], { complete: false }));
      assert.equal(ground.routes().length, 2);
      await ground.converge(state([peer(2)]));
      assert.deepEqual(
        ground.routes().map((route) => route.dst),
        [values.peerSubnet(2)],
      );
      assert.doesNotMatch(ground.bridge('fdb', 'show', 'dev', values.device), new RegExp(macOf(3)));
    });

    it('leaves foreign state alone, and says whose route is in the way', async () => {
      const foreign = values.peerSubnet(7);
      ground.ip(values.flag, 'route', 'add', foreign, 'dev', 'eth0', 'proto', 'static');
      const { problems } = await ground.converge(state([peer(2), peer(7)]));
      assert.equal(problems.length, family === 'ipv4' ? 1 : problems.length);
      const kept = JSON.parse(ground.ip(values.flag, '-j', 'route', 'show', foreign));
      assert.ok(
        kept.some(
          (route: { dev: string; protocol: string }) => route.dev === 'eth0' && route.protocol === 'static',
        ),
      );
      ground.ip(values.flag, 'route', 'del', foreign, 'dev', 'eth0', 'proto', 'static');
      await ground.converge(state([peer(2)]));
    });

    it('takes foreign addresses of the cluster’s range off the device, and no others', async () => {
      const inside = values
        .peerSubnet(5)
        .replace(/::\/.*/, '::5/64')
        .replace(/\.0\/24/, '.5/24');
      const outside = family === 'ipv4' ? '172.30.0.1/32' : 'fd99::1/128';
      ground.ip('address', 'add', inside, 'dev', values.device);
      ground.ip('address', 'add', outside, 'dev', values.device);
      await ground.converge(state([peer(2)]));
      const shown = ground.ip(values.flag, 'address', 'show', 'dev', values.device);
      assert.doesNotMatch(shown, new RegExp(inside));
      assert.match(shown, new RegExp(outside));
      ground.ip('address', 'del', outside, 'dev', values.device);
    });

    it('makes the device anew where its VNI or port is another, and programs every peer again', async () => {
      const changed = { type: 'vxlan', vni: 1, port: 4789, mtuBytes: undefined } as const;
      await ground.converge(state([peer(2), peer(3)], { backend: changed }));
      assert.match(ground.ip('-d', 'link', 'show', values.device), /dstport 4789/);
      assert.equal(ground.routes().length, 2);
      await ground.converge(state([peer(2), peer(3)]));
      assert.match(ground.ip('-d', 'link', 'show', values.device), /dstport 8472/);
    });

    it('keeps one VTEP MAC for the first of two peers, and names the other', async () => {
      const { problems } = await ground.converge(state([peer(2), peer(4, { vtepMac: macOf(2) })]));
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', /announces VTEP MAC .* too/);
    });

    it('routes straight to a peer on the same link in backend "direct", and names those that are not', async () => {
      const backend = { type: 'direct', vni: 1, port: 8472, mtuBytes: undefined } as const;
      ground.ip('link', 'del', values.device);
      const { problems } = await ground.converge(
        state([peer(2), peer(3, { endpoint: ip(values.far(3)) })], { backend }),
      );
      assert.deepEqual(
        ground.routes().map((route) => [route.dst, route.gateway, route.dev]),
        [[values.peerSubnet(2), values.endpoint(2), 'eth0']],
      );
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', /not on the underlay's network/);
    });

    if (family === 'ipv6') {
      it('is not settled in backend "direct" while the kernel would ask for no neighbour, and says why', async () => {
        const direct = () =>
          state([peer(2)], { backend: { type: 'direct', vni: 1, port: 8472, mtuBytes: undefined } });
        const eth0 = (...change: string[]) => ground.ip('link', 'set', 'eth0', ...change);
        eth0('down');
        eth0('up');
        ground.ip('address', 'add', values.underlay, 'dev', 'eth0', 'nodad');
        assert.match((await ground.converge(direct())).settling ?? '', /eth0.*link-local address/);
        const hindered: string[] = [];
        for (let now = await ground.converge(direct()); now.settling; now = await ground.converge(direct())) {
          assert.ok(now.retryInMs, 'it is looked at again');
          hindered.push(now.settling);
          await delay(now.retryInMs);
        }
        assert.match(hindered.at(-1) ?? '', /duplicate address detection/);
        assert.deepEqual((await ground.converge(direct())).problems, []);
        ground.ip('-6', 'address', 'flush', 'dev', 'eth0', 'scope', 'link');
        let said = await ground.converge(direct());
        for (; said.settling; said = await ground.converge(direct())) await delay(said.retryInMs);
        assert.match(said.problems[0] ?? '', /eth0 has no link-local address.*addr_gen_mode/);
        eth0('down');
        eth0('up');
        ground.ip('address', 'add', values.underlay, 'dev', 'eth0', 'nodad');
      });
    }

    it('takes the direct way to a peer that answers on it in backend "auto", and keeps the tunnel ready', async () => {
      const backend = { type: 'auto', vni: 1, port: 8472, mtuBytes: undefined } as const;
      const peers = [peer(2), peer(3, { endpoint: ip(values.far(3)) })];
      const ways = async (answering: string[]) => {
        const { problems } = await ground.converge(
          state(peers, { backend, answeringDirect: new Set(answering) }),
        );
        assert.deepEqual(problems, []);
        assert.equal(ground.bridge('fdb', 'show', 'dev', values.device).match(/permanent/g)?.length, 2);
        return ground
          .routes()
          .map((route) => [route.dst, route.dev])
          .filter(([dst]) => dst?.includes('/'));
      };
      const tunnelled = [
        [values.peerSubnet(2), values.device],
        [values.peerSubnet(3), values.device],
      ];
      assert.deepEqual(await ways([]), tunnelled);
      // Only marked packets take the direct way to the end of the tunnel, which is what probes it.
      const end = values.peerSubnet(2).replace(/\/.*/, '');
      assert.match(ground.ip('route', 'get', end, 'mark', String(DIRECT_PROBE_MARK)), / dev eth0 /);
      assert.match(ground.ip('route', 'get', end), new RegExp(` dev ${values.device} `));
      assert.deepEqual(await ways(['peer-2']), [
        [values.peerSubnet(2), 'eth0'],
        [values.peerSubnet(3), values.device],
      ]);
      assert.deepEqual(await ways([]), tunnelled);
      await ground.converge(state([peer(2)]));
      assert.doesNotMatch(ground.ip(values.flag, 'rule', 'show'), /8787/);
      assert.equal(ground.ip(values.flag, 'route', 'show', 'table', '8787'), '');
    });

    it('begins anew where the device goes while its entries are set, and complains of none of them', async () => {
      const asked = state([peer(2), peer(3)]);
      // The device is deleted when the first entries are about to be set.
      const rtnl = new Proxy(ground.rtnl, {
        get(socket, key) {
          if (key === 'attempt' && linkByName(socket, values.device)) ground.ip('link', 'del', values.device);
          const value = Reflect.get(socket, key, socket);
          return typeof value === 'function' ? value.bind(socket) : value;
        },
      });
      const cut = new Overlay(rtnl);
      const { problems, again } = await ground.inside(() => cut.reconcile(asked));
      assert.deepEqual(problems, []);
      assert.deepEqual(again, { reason: 'link gone', reread: true, underlay: true, base: true });
      assert.deepEqual((await ground.converge(asked)).problems, []);
      assert.equal(ground.routes().length, 2);
    });

    it('UDP port bound by a process: refused, the process and the remedy named', async () => {
      ground.ip('link', 'del', values.device);
      const script = `require('dgram').createSocket('udp6').bind(8472, '::', () => console.log('bound'))`;
      const holder = spawn('ip', ['netns', 'exec', ground.name, process.execPath, '-e', script]);
      try {
        await once(holder.stdout, 'data');
        await assert.rejects(
          ground.converge(state([peer(2)])),
          new RegExp(
            `^AgentError: failed to bind UDP port 8472 for ${values.device}: in use by node .process ${holder.pid}.; .*set backend.port`,
          ),
        );
      } finally {
        holder.kill();
        await once(holder, 'close');
      }
      const { problems } = await ground.converge(state([peer(2)]));
      assert.deepEqual(problems, []);
      ground.ip('link', 'del', values.device);
    });

    it('backend.mtu larger than the underlay carries: what fits is used, the problem has both figures', async () => {
      const backend = { type: 'vxlan', vni: 1, port: 8472, mtuBytes: 9000 } as const;
      const { problems } = await ground.converge(state([peer(2)], { backend }));
      assert.equal(problems.length, 1);
      assert.match(
        problems[0] ?? '',
        new RegExp(`^backend.mtu 9000 is more than eth0 carries, ${values.deviceMtuBytes} is used`),
      );
      const [device] = JSON.parse(ground.ip('-j', 'link', 'show', values.device));
      assert.equal(device.mtu, values.deviceMtuBytes);
      assert.equal(ground.routes().length, 1);
      assert.deepEqual((await ground.converge(state([peer(2)]))).problems, []);
      ground.ip('link', 'del', values.device);
    });

    it('underlay removed before the device is created: refused, the underlay named and no index', async () => {
      const asked = state([peer(2)]);
      const gone = { ...asked, underlay: { ...asked.underlay, index: 4711 } };
      await assert.rejects(ground.converge(gone), /its underlay eth0 is not there/);
    });

    if (family === 'ipv6') {
      it('underlay too narrow for IPv6: refused with the MTU that it needs', async () => {
        const asked = state([peer(2)]);
        const narrow = { ...asked, underlay: { ...asked.underlay, mtuBytes: 1300 } };
        await assert.rejects(
          ground.converge(narrow),
          /IPv6 needs an MTU of 1280, and eth0 leaves 1230 of its 1300: set the MTU of eth0 to 1350 or more/,
        );
      });
    }

    it('says who has its VNI and port', async () => {
      ground.ip(
        'link',
        'add',
        'flannel.1',
        'type',
        'vxlan',
        'id',
        '1',
        'dstport',
        '8472',
        'dev',
        'eth0',
        ...(family === 'ipv6' ? ['local', '2001:db8:188::101'] : []),
      );
      await assert.rejects(
        ground.converge(state([peer(2)])),
        /VNI 1 on UDP port 8472 is in use by flannel\.1 \(flannel runs, or ran.*remove that device, or set/,
      );
      ground.ip('link', 'del', 'flannel.1');
    });

    it('does not take a link of another kind for its device', async () => {
      ground.ip('link', 'add', values.device, 'type', 'bridge');
      await assert.rejects(
        ground.converge(state([peer(2)])),
        /is a bridge link, not a vxlan device.*ip link del/,
      );
      ground.ip('link', 'del', values.device);
    });
  });
}
