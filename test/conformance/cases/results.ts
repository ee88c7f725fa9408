/** What ADD prints, by version. */
import assert from 'node:assert/strict';
import type { Json } from '../../../json/object.ts';
import { atLeast } from '../../../plugin/protocol/version.ts';
import { before, type Case, since } from '../case.ts';
import { addressesIn, dual, listOf, netnsOf, type Trial } from '../trial.ts';

const macLength = 17;

async function addDual(trial: Trial, more: Json = {}): Promise<Json> {
  await trial.pod();
  return await trial.add({ config: { ipam: dual, isDefaultGateway: true, ...more } });
}

export const resultCases: readonly Case[] = [
  {
    id: '1.5',
    title: 'one address per family, its gateway and its routes',
    versions: before('0.3.0'),
    run: async (trial) => {
      const result = await addDual(trial);
      assert.equal(result.cniVersion, trial.version);
      assert.deepEqual(result.ip4, {
        ip: '10.7.0.2/24',
        gateway: '10.7.0.1',
        routes: [{ dst: '0.0.0.0/0', gw: '10.7.0.1' }],
      });
      assert.deepEqual(result.ip6, {
        ip: 'fd00:7::2/64',
        gateway: 'fd00:7::1',
        routes: [{ dst: '::/0', gw: 'fd00:7::1' }],
      });
      assert.deepEqual(result.dns, {});
      assert.ok(!('interfaces' in result) && !('ips' in result));
    },
  },
  {
    id: '1.5',
    title: 'bridge, host veth and container interface, in this order',
    versions: since('0.3.0'),
    run: async (trial) => {
      const result = await addDual(trial);
      assert.equal(result.cniVersion, trial.version);
      const interfaces = listOf(result, 'interfaces');
      assert.deepEqual(
        interfaces.map((each) => each.sandbox || undefined),
        [undefined, undefined, netnsOf('pod')],
      );
      const [bridge, veth, container] = interfaces.map((each) => String(each.name));
      assert.deepEqual([bridge, container], ['trial0', 'eth0']);
      const links = [
        await trial.link(bridge ?? ''),
        await trial.link(veth ?? ''),
        await trial.link('eth0', 'pod'),
      ];
      assert.deepEqual(
        interfaces.map((each) => each.mac),
        links.map((each) => each?.address),
      );
      assert.ok(interfaces.every((each) => String(each.mac).length === macLength));
      const mtus = interfaces.map((each) => each.mtu);
      if (atLeast(trial.version, '1.1.0')) {
        assert.deepEqual(
          mtus,
          links.map((each) => each?.mtu),
        );
      } else if (!trial.isReference) assert.ok(mtus.every((each) => each === undefined));
    },
  },
  {
    id: '1.5',
    title: 'addresses say their family up to 0.4.0, and the interface they are on',
    versions: since('0.3.0'),
    run: async (trial) => {
      const ips = listOf(await addDual(trial), 'ips');
      const old = !atLeast(trial.version, '1.0.0');
      assert.deepEqual(
        ips.map((each) => each.version),
        old ? ['4', '6'] : [undefined, undefined],
      );
      assert.deepEqual(
        ips.map((each) => [each.address, each.gateway, each.interface]),
        [
          ['10.7.0.2/24', '10.7.0.1', 2],
          ['fd00:7::2/64', 'fd00:7::1', 2],
        ],
      );
    },
  },
  {
    id: '1.5',
    title: 'several addresses of one family cannot be expressed',
    versions: before('0.3.0'),
    run: async (trial) => {
      await trial.pod();
      const ipam = { ...dual, ranges: [[{ subnet: '10.7.0.0/24' }], [{ subnet: '10.8.0.0/24' }]] };
      const msg = /does not support more than 1 address per family/;
      await trial.refuses('ADD', { code: 7, msg }, { config: { ipam } });
    },
  },
  {
    id: '1.5',
    title: 'several addresses of one family',
    versions: since('0.3.0'),
    run: async (trial) => {
      await trial.pod();
      const ipam = { ...dual, ranges: [[{ subnet: '10.7.0.0/24' }], [{ subnet: '10.8.0.0/24' }]] };
      assert.deepEqual(addressesIn(await trial.add({ config: { ipam } })), ['10.7.0.2/24', '10.8.0.2/24']);
    },
  },
  {
    id: '1.5',
    title: 'a network without addresses cannot be expressed',
    versions: before('0.3.0'),
    run: async (trial) => {
      await trial.pod();
      await trial.refuses(
        'ADD',
        { code: 7, msg: /cannot convert: no valid IP addresses/ },
        { config: { ipam: {} } },
      );
    },
  },
  {
    id: '1.5',
    title: 'a network without addresses has a result without any',
    versions: since('0.3.0'),
    run: async (trial) => {
      await trial.pod();
      const result = await trial.add({ config: { ipam: {} } });
      assert.deepEqual([listOf(result, 'interfaces').length, listOf(result, 'ips').length], [3, 0]);
      assert.equal((await trial.link('eth0', 'pod'))?.operstate, 'UP');
    },
  },
  {
    id: 'A3',
    title: 'what came before in the chain is passed on',
    versions: since('0.3.0'),
    differs: 'drops prevResult: bridge expects to be the first of its chain',
    run: async (trial) => {
      await trial.pod();
      const version = atLeast(trial.version, '1.0.0') ? {} : { version: '4' };
      const prevResult = {
        cniVersion: trial.version,
        interfaces: [{ name: 'other0', sandbox: netnsOf('pod') }],
        ips: [{ ...version, address: '192.0.2.7/24', interface: 0 }],
        routes: ['192.0.2.8', '192.0.2.9'].map((gw) => ({ dst: '198.51.100.0/24', gw })),
      };
      const result = await trial.add({ config: { prevResult } });
      assert.equal(listOf(result, 'interfaces')[0]?.name, 'other0');
      assert.deepEqual(addressesIn(result), ['192.0.2.7/24', '10.7.0.2/24']);
      assert.equal(listOf(result, 'ips')[1]?.interface, 3);
      assert.deepEqual(result.routes, prevResult.routes);
    },
  },
];
