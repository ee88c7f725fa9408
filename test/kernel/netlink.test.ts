/** kernel/ against the kernel: what a builder asks for is what plain `ip` and `bridge` then show. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { cidr, parseInterfaceAddress } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { KernelError } from '../../kernel/errors.ts';
import * as fdb from '../../kernel/fdb.ts';
import * as link from '../../kernel/link.ts';
import * as neighbour from '../../kernel/neighbour.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { homeNetns, type Netns, openNetns, within } from '../../kernel/netns.ts';
import * as newLink from '../../kernel/new-link.ts';
import * as route from '../../kernel/route.ts';
import { ensureSysctl, readSysctl } from '../../kernel/sysctl.ts';

const names = { host: `weft-t-${process.pid}-a`, pod: `weft-t-${process.pid}-b` };
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });
const inHost = (...args: string[]): string => run('ip', '-n', names.host, ...args);
const json = (netns: string, ...args: string[]) => JSON.parse(run('ip', '-n', netns, '-j', '-d', ...args));
const interfaceAddress = (text: string) => {
  const parsed = parseInterfaceAddress(text);
  assert.ok(parsed);
  return parsed;
};

let host: Netns;
let pod: Netns;
let rtnl: Rtnl;
let podRtnl: Rtnl;

before(() => {
  for (const name of Object.values(names)) run('ip', 'netns', 'add', name);
  host = openNetns(`/run/netns/${names.host}`);
  pod = openNetns(`/run/netns/${names.pod}`);
  rtnl = within(host, openRtnl);
  podRtnl = within(pod, openRtnl);
});

after(() => {
  for (const closable of [rtnl, podRtnl, host, pod]) closable?.close();
  for (const name of Object.values(names)) run('ip', 'netns', 'del', name);
});

describe('netns', () => {
  it('runs a block in the other namespace and comes back', () => {
    const home = homeNetns().id;
    assert.notEqual(host.id, home);
    assert.equal(
      within(host, () => openNetns('/proc/thread-self/ns/net').id),
      host.id,
    );
    assert.equal(openNetns('/proc/thread-self/ns/net').id, home);
  });

  it('comes back when the block throws', () => {
    assert.throws(() => within(host, () => assert.fail('inside')), /inside/);
    assert.equal(openNetns('/proc/thread-self/ns/net').id, homeNetns().id);
  });

  it('refuses a block that would go on after it left', () => {
    assert.throws(() => within(host, async () => 1), /must be synchronous/);
  });

  it('says what is wrong with a path', () => {
    assert.throws(() => openNetns('/run/netns/no-such'), { name: 'KernelError', code: 'ENOENT' });
    assert.throws(() => openNetns('/etc/hostname'), { code: 'EINVAL', message: /no namespace/ });
  });

  it('reaches the sysctls of the namespace', () => {
    assert.equal(
      within(host, () => ensureSysctl('net/ipv4/ip_forward', '1')),
      '0',
    );
    assert.equal(
      within(host, () => ensureSysctl('net/ipv4/ip_forward', '1')),
      undefined,
    );
    assert.equal(
      within(host, () => readSysctl('net/ipv4/ip_forward')),
      '1',
    );
    assert.equal(readSysctl('net/ipv4/no_such_setting'), undefined);
  });
});

describe('links, addresses and routes', () => {
  it('makes a veth pair with the peer in its final namespace, in one send', () => {
    const [bridge, hostEnd, podEnd] = [newLink.chooseIndex(), newLink.chooseIndex(), newLink.chooseIndex()];
    rtnl.execute([
      newLink.bridge({ name: 'br0', index: bridge, mac: '02:00:00:00:00:01', mtuBytes: 1450, up: true }),
      newLink.veth({
        name: 'veth1',
        index: hostEnd,
        mac: '02:00:00:00:00:02',
        mtuBytes: 1450,
        master: bridge,
        up: true,
        peer: { name: 'eth0', index: podEnd, mac: '02:00:00:00:00:03', mtuBytes: 1450, netnsFd: pod.fd },
      }),
      link.set({ index: hostEnd, alias: 'weft:weft/c1/eth0' }),
      link.setPort({ index: hostEnd, hairpin: true, isolated: true }),
      address.add({ index: bridge, ...interfaceAddress('10.9.0.1/24') }),
    ]);
    podRtnl.execute([
      // A message of its own: within one, the kernel puts the link up before it reads how addresses are made.
      link.set({ index: podEnd, ipv6AddrGenMode: 1 }),
      link.set({ index: podEnd, up: true, ipv4Conf: new Map([[link.IPV4_DEVCONF_ARP_NOTIFY, 1]]) }),
      address.add({ index: podEnd, ...interfaceAddress('10.9.0.2/24') }),
      address.add({ index: podEnd, ...interfaceAddress('fd00:9::2/64'), noDad: true }),
      route.add({ destination: cidr('0.0.0.0/0'), gateway: ip('10.9.0.1'), index: podEnd }),
    ]);

    const [shown] = json(names.host, 'link', 'show', 'veth1');
    assert.equal(shown.ifindex, hostEnd);
    assert.equal(shown.ifalias, 'weft:weft/c1/eth0');
    assert.equal(shown.master, 'br0');
    assert.equal(shown.linkinfo.info_slave_data.hairpin, true);
    assert.equal(shown.linkinfo.info_slave_data.isolated, true);
    const [inside] = json(names.pod, 'address', 'show', 'eth0');
    assert.equal(inside.address, '02:00:00:00:00:03');
    assert.deepEqual(
      inside.addr_info.map((a: { local: string; prefixlen: number }) => `${a.local}/${a.prefixlen}`),
      ['10.9.0.2/24', 'fd00:9::2/64'],
    );
    const [fallback] = json(names.pod, 'route', 'show', 'default');
    assert.equal(fallback.gateway, '10.9.0.1');
    assert.equal(fallback.protocol, '87');
    assert.equal(
      within(pod, () => readSysctl('net/ipv4/conf/eth0/arp_notify')),
      '1',
    );
  });

  it('reads back what it made', () => {
    const found = link.linkByName(rtnl, 'veth1');
    assert.ok(found);
    assert.equal(found.kind, 'veth');
    assert.equal(found.mtuBytes, 1450);
    assert.equal(found.up, true);
    assert.deepEqual(found.port, { state: found.port?.state, hairpin: true, isolated: true });
    assert.equal(link.linkByIndex(rtnl, found.index)?.name, 'veth1');
    assert.equal(link.linkByName(rtnl, 'absent'), undefined);
    assert.deepEqual(
      link
        .links(rtnl)
        .map((l) => l.name)
        .sort(),
      ['br0', 'lo', 'veth1'],
    );
    const [onBridge] = address.addresses(rtnl, { index: found.master ?? 0 });
    assert.deepEqual(onBridge?.address, ip('10.9.0.1'));
    assert.equal(onBridge?.length, 24);
    const ours = route.routes(podRtnl, { family: 'ipv4', protocol: route.RTPROT_WEFT });
    assert.deepEqual(ours.map(route.describeRoute), [
      `0.0.0.0/0 via 10.9.0.1 dev ${link.linkByName(podRtnl, 'eth0')?.index}`,
    ]);
  });

  it('carries packets', () => {
    run('ip', 'netns', 'exec', names.host, 'ping', '-c1', '-W10', '10.9.0.2');
  });

  it('removes a group of links in one request', () => {
    const indexes = [newLink.chooseIndex(), newLink.chooseIndex()];
    rtnl.execute(
      indexes.flatMap((index, i) => [
        newLink.ifb({ name: `ifb-t${i}`, index }),
        link.set({ index, group: 4711 }),
      ]),
    );
    rtnl.execute([link.remove({ group: 4711 })]);
    assert.equal(
      link.links(rtnl).some((l) => l.name.startsWith('ifb-t')),
      false,
    );
  });
});

describe('a route with several next hops', () => {
  for (const { family, destination, gateways } of [
    { family: 'ipv4', destination: '198.51.100.0/24', gateways: ['10.9.0.8', '10.9.0.9'] },
    { family: 'ipv6', destination: '2001:db8:9::/64', gateways: ['fd00:9::8', 'fd00:9::9'] },
  ] as const) {
    it(`is read as several routes (${family})`, () => {
      const hops = gateways.flatMap((gateway) => ['nexthop', 'via', gateway]);
      run('ip', '-n', names.pod, 'route', 'add', destination, ...hops);
      const index = link.linkByName(podRtnl, 'eth0')?.index;
      const found = route.routes(podRtnl, { family }).map(route.describeRoute);
      assert.deepEqual(
        found.filter((text) => text.startsWith(destination)).sort(),
        gateways.map((gateway) => `${destination} via ${gateway} dev ${index}`),
      );
    });
  }
});

describe('an overlay peer', () => {
  for (const peer of [
    {
      family: 'ipv4',
      local: '192.0.2.1',
      remote: '192.0.2.2',
      subnet: '10.244.2.0/24',
      gateway: '10.244.2.0',
    },
    {
      family: 'ipv6',
      local: '2001:db8::1',
      remote: '2001:db8::2',
      subnet: 'fd00:2::/64',
      gateway: 'fd00:2::',
    },
  ] as const) {
    it(`is one route, one neighbour and one forwarding entry (${peer.family})`, () => {
      const index = newLink.chooseIndex();
      const name = `vx-${peer.family}`;
      const attributes = {
        vni: peer.family === 'ipv4' ? 1 : 2,
        port: 8472,
        parent: 0,
        local: ip(peer.local),
        learning: false,
        gbp: false,
      };
      const mac = '02:00:00:00:02:01';
      rtnl.execute([
        newLink.vxlan({ name, index, mac: '02:00:00:00:01:01', mtuBytes: 1400, vxlan: attributes, up: true }),
        neighbour.replace({ index, address: ip(peer.gateway), mac }),
        fdb.replace({ index, mac, destination: ip(peer.remote) }),
        route.replace({ destination: cidr(peer.subnet), gateway: ip(peer.gateway), index, onlink: true }),
      ]);
      assert.deepEqual(link.linkByName(rtnl, name)?.vxlan, attributes);
      // The kernel may have entries of its own besides, for multicast.
      const permanent = () =>
        neighbour.neighbours(rtnl, { family: peer.family, index }).filter((entry) => entry.permanent);
      assert.deepEqual(permanent(), [{ index, address: ip(peer.gateway), mac, permanent: true }]);
      assert.deepEqual(fdb.fdbEntries(rtnl, index), [
        { index, mac, destination: ip(peer.remote), permanent: true },
      ]);
      const [programmed] = route.routes(rtnl, { family: peer.family, protocol: route.RTPROT_WEFT });
      assert.equal(programmed?.onlink, true);
      assert.deepEqual(programmed?.destination, cidr(peer.subnet));

      rtnl.execute([
        route.remove({ destination: cidr(peer.subnet), gateway: ip(peer.gateway), index }),
        fdb.remove({ index, mac, destination: ip(peer.remote) }),
        neighbour.remove({ index, address: ip(peer.gateway) }),
      ]);
      assert.deepEqual(fdb.fdbEntries(rtnl, index), []);
      assert.deepEqual(permanent(), []);
      assert.deepEqual(route.routes(rtnl, { family: peer.family, protocol: route.RTPROT_WEFT }), []);
    });
  }
});

describe('refusals', () => {
  it('name the errno, the attempt and the kernel’s words', () => {
    assert.throws(
      () =>
        rtnl.execute([route.add({ destination: cidr('10.9.8.0/24'), gateway: ip('203.0.113.1'), index: 1 })]),
      (error: unknown) => {
        assert.ok(error instanceof KernelError);
        assert.equal(error.code, 'ENETUNREACH');
        assert.match(
          error.message,
          /^add route 10\.9\.8\.0\/24 via 203\.0\.113\.1 dev 1: ENETUNREACH \(.+\)$/,
        );
        return true;
      },
    );
  });

  it('are told per request, and do not keep later ones from being carried out', () => {
    const index = link.linkByName(rtnl, 'br0')?.index ?? 0;
    const outcomes = rtnl.attempt([
      address.add({ index, ...interfaceAddress('10.9.7.1/24') }),
      address.add({ index, ...interfaceAddress('10.9.7.1/24') }),
      address.add({ index, ...interfaceAddress('10.9.6.1/24') }),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome?.code),
      [undefined, 'EEXIST', undefined],
    );
    assert.match(inHost('address', 'show', 'br0'), /10\.9\.6\.1\/24/);
  });

  it('survive thousands of requests in one call', () => {
    const index = link.linkByName(rtnl, 'br0')?.index ?? 0;
    const many = Array.from({ length: 3000 }, (_, i) =>
      neighbour.replace({ index, address: ip(`10.8.${i >> 8}.${i & 255}`), mac: '02:00:00:00:00:09' }),
    );
    rtnl.execute(many);
    const found = neighbour.neighbours(rtnl, { family: 'ipv4', index });
    assert.equal(found.filter((entry) => entry.permanent).length, 3000);
  });
});
