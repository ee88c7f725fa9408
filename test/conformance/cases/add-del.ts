/** What ADD makes in the kernel, and that DEL takes it away, whatever the state. */
import assert from 'node:assert/strict';
import { cniVersions } from '../../../plugin/protocol/version.ts';
import { type Case, since } from '../case.ts';
import { globalAddresses, isBridge, isVeth } from '../kernel-state.ts';
import { addressesIn, dual, ipv4, ipv6, of, onlyOne, type Trial } from '../trial.ts';

const families = [
  { what: 'IPv4', ipam: ipv4, pod: ['10.7.0.2/24'], host: ['10.7.0.1/24'] },
  { what: 'IPv6', ipam: ipv6, pod: ['fd00:7::2/64'], host: ['fd00:7::1/64'] },
  {
    what: 'both families',
    ipam: dual,
    pod: ['10.7.0.2/24', 'fd00:7::2/64'],
    host: ['10.7.0.1/24', 'fd00:7::1/64'],
  },
  {
    what: 'three subnets',
    ipam: { ...dual, ranges: [...dual.ranges, [{ subnet: 'fd00:8::/64' }]] },
    pod: ['10.7.0.2/24', 'fd00:7::2/64', 'fd00:8::2/64'],
    host: ['10.7.0.1/24', 'fd00:7::1/64', 'fd00:8::1/64'],
    versions: since('0.3.0'),
  },
];

async function assertNothingLeft(trial: Trial): Promise<void> {
  assert.deepEqual((await trial.links()).filter(isVeth), [], 'a veth is left on the host');
}

/** ADD can have the network's only address, so nobody holds it. */
async function assertAddressFree(trial: Trial): Promise<void> {
  await trial.pod('next');
  assert.deepEqual(addressesIn(await trial.add({ env: of('next'), config: { ipam: onlyOne } })), [
    '10.7.0.2/24',
  ]);
}

export const addDelCases: readonly Case[] = [
  ...families.map(
    ({ what, ipam, pod, host, versions = cniVersions }): Case => ({
      id: 'A1',
      title: `a pod with ${what}: veth on the bridge, address, default route; DEL removes it`,
      versions,
      run: async (trial) => {
        await trial.pod();
        const config = { ipam, isDefaultGateway: true };
        assert.deepEqual(addressesIn(await trial.add({ config })), pod);
        const links = await trial.links();
        const [veth, ...more] = links.filter(isVeth);
        assert.deepEqual([veth?.master, veth?.operstate, more.length], ['trial0', 'UP', 0]);
        const bridge = links.find((each) => each.ifname === 'trial0');
        assert.ok(bridge && isBridge(bridge) && bridge.address !== veth?.address);
        assert.deepEqual(globalAddresses(await trial.addresses('trial0')).sort(), host);
        assert.deepEqual(globalAddresses(await trial.addresses('eth0', 'pod')).sort(), pod);
        assert.equal((await trial.link('eth0', 'pod'))?.operstate, 'UP');
        for (const family of ['-4', '-6'] as const) {
          const gateway = host.find((each) => each.includes(':') === (family === '-6'))?.split('/')[0];
          const way = (await trial.routes(family, 'pod')).find((each) => each.dst === 'default');
          assert.deepEqual([way?.gateway, way?.prefsrc], [gateway, undefined]);
        }
        await trial.succeeds('DEL', { config });
        await assertNothingLeft(trial);
        assert.equal(await trial.link('eth0', 'pod'), undefined);
        assert.ok(await trial.link('trial0'), 'the bridge stays');
      },
    }),
  ),
  {
    id: 'A1',
    title: 'addresses of IPv6 outlive their interface being down for a while',
    versions: ['1.0.0'],
    differs: 'loses them, in this version',
    run: async (trial) => {
      await trial.addPod({ config: { ipam: ipv6 } });
      for (const state of ['down', 'up']) {
        await trial.ground.must('ip', '-n', 'pod', 'link', 'set', 'eth0', state);
        assert.deepEqual(globalAddresses(await trial.addresses('eth0', 'pod')), ['fd00:7::2/64']);
      }
    },
  },
  {
    id: 'A1',
    title: 'host and pods of one bridge reach each other',
    versions: ['1.0.0'],
    run: async (trial) => {
      const config = { isDefaultGateway: true };
      for (const name of ['pod', 'peer']) {
        await trial.pod(name);
        await trial.add({ env: of(name), config });
      }
      await trial.ground.must('ping', '-c1', '-W10', '10.7.0.2');
      await trial.ground.must('ip', 'netns', 'exec', 'pod', 'ping', '-c1', '-W10', '10.7.0.3');
    },
  },
  {
    id: 'A1',
    title: 'an interface that exists already fails ADD, keeps its state and costs no address',
    run: async (trial) => {
      await trial.pod();
      await trial.ground.must('ip', '-n', 'pod', 'link', 'add', 'eth0', 'type', 'bridge');
      await trial.refuses('ADD', { code: 100, msg: /eth0.*already exists/ }, { config: { ipam: onlyOne } });
      const existing = await trial.link('eth0', 'pod');
      assert.ok(existing && isBridge(existing));
      await assertAddressFree(trial);
    },
  },
  {
    id: 'A2',
    title: 'the same ADD again fails and leaves the first as it was',
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      // The kernel's own link-local address is still tried for duplicates meanwhile.
      const state = async () => [
        await trial.hostState(),
        globalAddresses(await trial.addresses('eth0', 'pod')),
        (await trial.link('eth0', 'pod'))?.address,
      ];
      const before = await state();
      assert.notEqual((await trial.call('ADD')).status, 0);
      assert.deepEqual(await state(), before);
    },
  },
  {
    id: 'A2',
    title: 'another interface of the same container has another address; DEL of one leaves the other',
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      assert.deepEqual(addressesIn(await trial.add({ env: of('pod', 'eth1') })), ['10.7.0.3/24']);
      await trial.succeeds('DEL', { env: of('pod', 'eth1') });
      assert.deepEqual(globalAddresses(await trial.addresses('eth0', 'pod')), ['10.7.0.2/24']);
      assert.equal(await trial.link('eth1', 'pod'), undefined);
    },
  },
  {
    id: 'A4',
    title: 'an ADD that fails takes back what it made',
    run: async (trial) => {
      await trial.pod();
      await trial.pod('first');
      await trial.add({ env: of('first'), config: { ipam: onlyOne } });
      const before = await trial.hostState();
      await trial.refuses(
        'ADD',
        { code: 101, msg: /no IP addresses available|exhausted/ },
        { config: { ipam: onlyOne } },
      );
      if (!trial.isReference) assert.equal(await trial.hostState(), before);
      await trial.succeeds('DEL', { env: of('first'), config: { ipam: onlyOne } });
      await assertAddressFree(trial);
    },
  },
  {
    id: 'A5',
    title: 'ADDs at once, the first ones of the node, get an address each',
    versions: ['1.0.0'],
    run: async (trial) => {
      const names = Array.from({ length: 10 }, (_, i) => `pod${i}`);
      for (const name of names) await trial.pod(name);
      const config = { isDefaultGateway: true };
      const results = await Promise.all(names.map((name) => trial.add({ env: of(name), config })));
      assert.equal(new Set(results.flatMap(addressesIn)).size, names.length);
      await Promise.all(names.map((name) => trial.succeeds('DEL', { env: of(name), config })));
      await assertNothingLeft(trial);
    },
  },
  {
    id: 'D1',
    title: 'DEL of what never was succeeds, and again',
    run: async (trial) => {
      await trial.pod();
      await trial.succeeds('DEL');
      await trial.succeeds('DEL');
    },
  },
  {
    id: 'D1',
    title: 'DEL again, after DEL, succeeds',
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      for (let i = 0; i < 3; i++) await trial.succeeds('DEL');
      await assertNothingLeft(trial);
    },
  },
  {
    id: 'D1',
    title: 'DEL after the interface went by itself frees the address',
    run: async (trial) => {
      await trial.pod();
      await trial.add({ config: { ipam: onlyOne } });
      await trial.ground.must('ip', '-n', 'pod', 'link', 'delete', 'eth0');
      await trial.succeeds('DEL', { config: { ipam: onlyOne } });
      await assertAddressFree(trial);
    },
  },
  {
    id: 'D2',
    title: 'DEL without a namespace releases everything',
    differs: 'without a namespace it frees the address and leaves the veth',
    run: async (trial) => {
      await trial.pod();
      await trial.add({ config: { ipam: onlyOne } });
      await trial.succeeds('DEL', { env: { CNI_NETNS: '' }, config: { ipam: onlyOne } });
      await assertNothingLeft(trial);
      await assertAddressFree(trial);
    },
  },
  {
    id: 'D2',
    title: 'DEL after the namespace went frees the address',
    run: async (trial) => {
      await trial.pod();
      await trial.add({ config: { ipam: onlyOne } });
      await trial.ground.must('ip', 'netns', 'delete', 'pod');
      await trial.succeeds('DEL', { config: { ipam: onlyOne } });
      await assertAddressFree(trial);
    },
  },
  {
    id: 'D3',
    title: 'DEL with a prevResult that is none succeeds',
    versions: since('0.4.0'),
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      await trial.succeeds('DEL', { config: { prevResult: { ips: [{ address: 'gone' }] } } });
      await assertNothingLeft(trial);
    },
  },
  {
    id: 'D4',
    title: 'DEL works with a configuration that has changed since',
    run: async (trial) => {
      await trial.pod();
      await trial.add({ config: { ipam: onlyOne } });
      const changed = {
        bridge: 'other0',
        ipam: { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]] },
      };
      await trial.succeeds('DEL', { config: changed });
      await assertNothingLeft(trial);
      await assertAddressFree(trial);
    },
  },
];
