/** overlay/ against the kernel: whatever state a host is in, one pass makes it what the peers ask for (I4). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DIRECT_PROBE_MARK } from '../../agent/overlay/direct-probing.ts';
import { Overlay } from '../../agent/overlay/overlay.ts';
import type { Peer } from '../../agent/overlay/peer.ts';
import type { OverlayState } from '../../agent/overlay/state.ts';
import { cidr, formatCidr, parseInterfaceAddress } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { linkByName, linkOf } from '../../kernel/link.ts';
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { RTNLGRP } from '../../kernel/netlink/open.ts';
import { openRtnl, RTM_NEWLINK, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Netns, openNetns, within } from '../../kernel/netns.ts';

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });

interface Ground {
  readonly name: string;
  readonly netns: Netns;
  readonly rtnl: Rtnl;
  readonly overlay: Overlay;
  ip(...args: string[]): string;
  bridge(...args: string[]): string;
  /** The state's pass, in the namespace: /proc/sys is reached through the calling thread. */
  converge(state: OverlayState): ReturnType<Overlay['converge']>;
  /** A pass that goes by the notifications that the overlay was given, and reads nothing. */
  repair(state: OverlayState): ReturnType<Overlay['converge']>;
}

const families = {
  ipv4: {
    network: '10.244.0.0/16',
    subnet: '10.244.1.0/24',
    underlay: '192.168.188.101/24',
    endpoint: (n: number) => `192.168.188.${100 + n}`,
    far: (n: number) => `192.168.77.${100 + n}`,
    peerSubnet: (n: number) => `10.244.${n}.0/24`,
    device: 'weft.1',
    deviceMtuBytes: 1450,
    flag: '-4',
    forwarding: 'net.ipv4.ip_forward',
  },
  ipv6: {
    network: 'fd00:10:244::/56',
    subnet: 'fd00:10:244:1::/64',
    underlay: '2001:db8:188::101/64',
    endpoint: (n: number) => `2001:db8:188::${100 + n}`,
    far: (n: number) => `2001:db8:77::${100 + n}`,
    peerSubnet: (n: number) => `fd00:10:244:${n}::/64`,
    device: 'weft-v6.1',
    deviceMtuBytes: 1430,
    flag: '-6',
    forwarding: 'net.ipv6.conf.all.forwarding',
  },
} as const;

const macOf = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`;

for (const [family, values] of Object.entries(families)) {
  describe(`an ${family} overlay`, () => {
    let ground: Ground;
    const peer = (n: number, change: Partial<Peer> = {}): Peer => ({
      key: `peer-${n}`,
      name: `node-${n}`,
      subnet: cidr(values.peerSubnet(n)),
      endpoint: ip(values.endpoint(n)),
      vtepMac: macOf(n),
      ...change,
    });
    const state = (peers: Peer[], change: Partial<OverlayState> = {}): OverlayState => {
      const address = parseInterfaceAddress(values.underlay);
      const underlay = linkByName(ground.rtnl, 'eth0');
      assert.ok(address && underlay);
      return {
        network: cidr(values.network),
        subnet: cidr(values.subnet),
        underlay: { index: underlay.index, name: 'eth0', address, mtuBytes: underlay.mtuBytes },
        vtepMac: macOf(1),
        backend: { type: 'vxlan', vni: 1, port: 8472, mtuBytes: undefined },
        peers,
        answeringDirect: new Set(),
        pathMtuBytes: new Map(),
        complete: true,
        ...change,
      };
    };
    const nodad = family === 'ipv6' ? ['nodad'] : [];
    const routes = (): { dst: string; gateway: string; dev: string; flags: string[] }[] =>
      JSON.parse(ground.ip(values.flag, '-j', 'route', 'show', 'proto', '87'));

    before(() => {
      ground = openGround(`weft-t-${process.pid}-${family}`);
      ground.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
      ground.ip('link', 'set', 'eth0', 'up');
      ground.ip('link', 'set', 'wire', 'up');
      ground.ip('address', 'add', values.underlay, 'dev', 'eth0', ...(family === 'ipv6' ? ['nodad'] : []));
    });
    after(() => closeGround(ground));

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
        routes().map((route) => [route.dst, route.gateway, route.dev, route.flags.includes('onlink')]),
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
      assert.match(run('ip', 'netns', 'exec', ground.name, 'sysctl', '-n', values.forwarding), /^1$/m);
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
        const before = snapshot(ground, values);
        for (const command of commands) ground.ip(...command);
        assert.notEqual(damaged(ground, values), before);
        const { problems } = await ground.converge(state([peer(2), peer(3)]));
        assert.deepEqual(problems, []);
        assert.equal(snapshot(ground, values), before);
      });
    }

    describe('that listens', () => {
      let listening: Listening;
      const peers = () => state([peer(2), peer(3)]);
      const end = values.peerSubnet(2).replace(/\/.*/, '');
      before(async () => {
        await ground.converge(peers());
        listening = listen(ground);
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
          damage: () =>
            ground.bridge('fdb', 'del', macOf(2), 'dev', values.device, 'dst', values.endpoint(2)),
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
            ground.ip('address', 'replace', values.underlay, 'dev', 'eth0', ...nodad);
          },
          told: 'underlay link',
        },
        forwarding: {
          damage: () => run('ip', 'netns', 'exec', ground.name, 'sysctl', '-qw', `${values.forwarding}=0`),
          told: 'forwarding off',
        },
      };
      for (const [what, { damage, told }] of Object.entries(damages)) {
        it(`is told of the loss of ${what}, and puts it right without reading all there is`, async () => {
          const before = snapshot(ground, values);
          damage();
          assert.ok((await listening.told()).includes(told), `told of: ${told}`);
          const { problems } = await ground.repair(peers());
          assert.deepEqual(problems, []);
          assert.equal(snapshot(ground, values), before);
          await listening.told();
          assert.deepEqual((await ground.repair(peers())).done, []);
        });
      }

      it('is not told of its own work', async () => {
        await ground.repair(state([peer(2), peer(3), peer(4)]));
        assert.deepEqual(await listening.told(), []);
        assert.equal(routes().length, 3);
        await ground.repair(peers());
        assert.deepEqual(await listening.told(), []);
        assert.equal(routes().length, 2);
      });

      it('gives way to a program that undoes its work again and again, and says so once', async () => {
        const fought = state([peer(2), peer(9)]);
        let { problems } = await ground.repair(fought);
        let repairs = 0;
        for (let n = 0; n < 40; n++) {
          ground.ip(values.flag, 'route', 'flush', values.peerSubnet(9));
          await listening.told();
          ({ problems } = await ground.repair(fought));
          repairs += routes().length - 1;
        }
        assert.ok(repairs < 20, `${repairs} repairs of 40 losses`);
        assert.equal(problems.length, 1);
        assert.match(
          problems[0] ?? '',
          new RegExp(`^route ${values.peerSubnet(9)}.* dev ${values.device} is undone again and again`),
        );
        await ground.converge(peers());
      });
    });

    it('puts back a forwarding entry', async () => {
      const before = snapshot(ground, values);
      ground.bridge('fdb', 'del', macOf(2), 'dev', values.device, 'dst', values.endpoint(2));
      await ground.converge(state([peer(2), peer(3)]));
      assert.equal(snapshot(ground, values), before);
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
      assert.equal(routes().length, 2);
      await ground.converge(state([peer(2)]));
      assert.deepEqual(
        routes().map((route) => route.dst),
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
      assert.equal(routes().length, 2);
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
        routes().map((route) => [route.dst, route.gateway, route.dev]),
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
        assert.match(hindered.at(-1) ?? '', /tried for duplicates/);
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
      run('ip', 'netns', 'exec', ground.name, 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1');
      const peers = [peer(2), peer(3, { endpoint: ip(values.far(3)) })];
      const ways = async (answering: string[]) => {
        const { problems } = await ground.converge(
          state(peers, { backend, answeringDirect: new Set(answering) }),
        );
        assert.deepEqual(problems, []);
        assert.equal(ground.bridge('fdb', 'show', 'dev', values.device).match(/permanent/g)?.length, 2);
        return routes()
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
      if (family === 'ipv4') {
        for (const name of ['eth0', values.device]) {
          assert.match(
            run('ip', 'netns', 'exec', ground.name, 'sysctl', '-n', `net/ipv4/conf/${name}/rp_filter`),
            /^2$/m,
          );
        }
      }
      await ground.converge(state([peer(2)]));
      assert.doesNotMatch(ground.ip(values.flag, 'rule', 'show'), /8787/);
      assert.equal(ground.ip(values.flag, 'route', 'show', 'table', '8787'), '');
    });

    it('begins anew where the device goes while its entries are set, and complains of none of them', async () => {
      const asked = state([peer(2), peer(3)]);
      const cut = new Overlay(ground.rtnl, {
        set: () => {
          if (linkByName(ground.rtnl, values.device)) ground.ip('link', 'del', values.device);
          return undefined;
        },
      });
      const { problems, damage } = await inNamespace(ground.netns, () => cut.converge(asked));
      assert.deepEqual(problems, []);
      assert.deepEqual(damage, { reason: 'link gone', reread: true, underlay: true, ground: true });
      assert.deepEqual((await ground.converge(asked)).problems, []);
      assert.equal(routes().length, 2);
    });

    it('says who has its VNI and port', async () => {
      ground.ip('link', 'del', values.device);
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
      await assert.rejects(ground.converge(state([peer(2)])), /belongs to flannel\.1 \(flannel runs/);
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

function snapshot(ground: Ground, values: { device: string; flag: string }): string {
  return [
    ground
      .ip('-o', 'link', 'show')
      .replace(/^\d+: /gm, '')
      .replace(/@if\d+|@\w+/g, ''),
    ground.ip('-o', values.flag, 'address', 'show', 'dev', values.device).replace(/^\d+: /gm, ''),
    ground.ip(values.flag, 'route', 'show', 'proto', '87'),
    ground.ip(values.flag, 'neigh', 'show', 'nud', 'permanent').split('\n').sort().join('\n'),
    ground.bridge('fdb', 'show', 'dev', values.device).split('\n').sort().join('\n'),
  ].join('\n');
}

/** A snapshot that can also be taken while there is no device. */
function damaged(ground: Ground, values: { device: string; flag: string }): string {
  const exists = ground.ip('-o', 'link', 'show').includes(values.device);
  return exists ? snapshot(ground, values) : 'no device';
}

interface Listening {
  /** Why passes were asked for since the last call. */
  told(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Hands notifications to the overlay as the agent does. */
function listen(ground: Ground): Listening {
  const stop = new AbortController();
  const told: string[] = [];
  let heard = () => {};
  const monitor = within(ground.netns, () => NetlinkMonitor.open(Object.values(RTNLGRP)));
  const running = monitor.run(
    {
      onMessage: (message) => {
        const damage = ground.overlay.observe(message);
        if (damage) told.push(damage.reason);
        if (message.type === RTM_NEWLINK && linkOf(message).name === 'bell') heard();
      },
      onOverrun: () => assert.fail('overrun'),
    },
    stop.signal,
  );
  return {
    // Everything up to here has been notified once the bell has been heard.
    told: async () => {
      const rung = new Promise<void>((resolve) => {
        heard = resolve;
      });
      ground.ip('link', 'add', 'bell', 'type', 'ifb');
      await rung;
      ground.ip('link', 'del', 'bell');
      return [...new Set(told.splice(0))];
    },
    stop: () => {
      stop.abort();
      return running;
    },
  };
}

function openGround(name: string): Ground {
  run('ip', 'netns', 'add', name);
  const netns = openNetns(`/run/netns/${name}`);
  const rtnl = within(netns, openRtnl);
  const overlay = new Overlay(rtnl);
  return {
    name,
    netns,
    rtnl,
    overlay,
    ip: (...args) => run('ip', '-n', name, ...args),
    bridge: (...args) => run('bridge', '-n', name, ...args),
    converge: (state) => {
      overlay.invalidate();
      return inNamespace(netns, () => overlay.converge(state));
    },
    repair: (state) => inNamespace(netns, () => overlay.converge(state)),
  };
}

/** Starts an asynchronous pass inside: its synchronous head is where /proc/sys is written. */
function inNamespace<T>(netns: Netns, start: () => Promise<T>): Promise<T> {
  return within(netns, () => ({ promise: start() })).promise;
}

function closeGround(ground: Ground): void {
  ground.rtnl.close();
  ground.netns.close();
  run('ip', 'netns', 'del', ground.name);
}
