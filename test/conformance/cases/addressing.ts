/** host-local's options: ranges, addresses that are asked for, routes; and what it left on disk. */
import assert from 'node:assert/strict';
import type { Json } from '../../../json/object.ts';
import type { CniVersion } from '../../../plugin/protocol/version.ts';
import { type Case, since } from '../case.ts';
import type { Hop } from '../kernel-state.ts';
import { addressesIn, type CallOptions, dual, ipv4, ipv6, of, onlyOne } from '../trial.ts';

const requests: [place: string, options: CallOptions][] = [
  ['CNI_ARGS', { env: { CNI_ARGS: 'IgnoreUnknown=1;IP=10.7.0.77' } }],
  ['args', { config: { args: { cni: { ips: ['10.7.0.77'] } } } }],
  ['the capability, with a length', { config: { runtimeConfig: { ips: ['10.7.0.77/24'] } } }],
];

const impossible: [ip: string, msg: RegExp][] = [
  ['10.7.0.2', /requested IP address 10\.7\.0\.2 is not available/],
  ['10.7.0.1', /requested [iI][pP] 10\.7\.0\.1 is subnet's gateway/],
  ['10.99.0.5', /failed to allocate all requested IPs: 10\.99\.0\.5/],
];

const several: [what: string, ipam: Json, ips: string[], versions: readonly CniVersion[]][] = [
  ['one of each family', dual, ['10.7.0.77/24', 'fd00:7::77/64'], since('0.1.0')],
  [
    'one of each range set',
    { ...dual, ranges: [[{ subnet: '10.7.0.0/24' }], [{ subnet: '10.8.0.0/24' }]] },
    ['10.7.0.77/24', '10.8.0.77/24'],
    since('0.3.0'),
  ],
];

/** All that a range set has, in the order in which it is given. */
const whole: [what: string, set: Json[], given: string[]][] = [
  [
    'all but network, gateway and broadcast',
    [{ subnet: '10.7.0.0/29', gateway: '10.7.0.4' }],
    ['10.7.0.1/29', '10.7.0.2/29', '10.7.0.3/29', '10.7.0.5/29', '10.7.0.6/29'],
  ],
  ['the last of IPv6 as well', [{ subnet: 'fd00:7::/126' }], ['fd00:7::2/126', 'fd00:7::3/126']],
  [
    'from rangeStart to rangeEnd',
    [{ subnet: '10.7.0.0/24', rangeStart: '10.7.0.20', rangeEnd: '10.7.0.21' }],
    ['10.7.0.20/24', '10.7.0.21/24'],
  ],
  [
    'one range of a set after the other',
    [{ subnet: '10.7.0.0/30' }, { subnet: '10.8.0.0/30' }],
    ['10.7.0.2/30', '10.8.0.2/30'],
  ],
];

const ways = [
  { family: '-4', ipam: ipv4, dst: '192.0.2.0/24', gateways: ['10.7.0.8', '10.7.0.9'] },
  { family: '-6', ipam: ipv6, dst: '2001:db8::/64', gateways: ['fd00:7::8', 'fd00:7::9'] },
] as const;

/** An address that host-local has given to container `pod`. */
const files: [what: string, content: string][] = [
  ['as it writes it', 'pod\r\neth0'],
  ['without an interface, as it used to', 'pod'],
  ['with white space', ' pod\r\neth0 \n'],
];

export const addressingCases: readonly Case[] = [
  {
    id: 'routes',
    title: 'of the ipam section are in the result and in the pod',
    versions: since('0.3.0'),
    run: async (trial) => {
      const routes = [{ dst: '192.0.2.0/24' }, { dst: '198.51.100.0/24', gw: '10.7.0.9' }];
      const result = await trial.addPod({ config: { isGateway: true, ipam: { ...ipv4, routes } } });
      assert.deepEqual(result.routes, routes);
      const inPod = await trial.routes('-4', 'pod');
      assert.equal(inPod.find((each) => each.dst === '192.0.2.0/24')?.gateway, '10.7.0.1');
      assert.equal(inPod.find((each) => each.dst === '198.51.100.0/24')?.gateway, '10.7.0.9');
    },
  },
  ...ways.map(
    ({ family, ipam, dst, gateways }): Case => ({
      id: 'routes',
      title: `to one destination by two gateways (${family}), of which CHECK misses neither`,
      versions: ['1.0.0'],
      differs: "CHECK does not find IPv6's, which the kernel has as one route",
      run: async (trial) => {
        const routes = gateways.map((gw) => ({ dst, gw }));
        const config = { isGateway: true, ipam: { ...ipam, routes } };
        const prevResult = await trial.addPod({ config });
        assert.deepEqual(prevResult.routes, routes);
        const inPod = (await trial.routes(family, 'pod')).filter((each) => each.dst === dst);
        const hops = inPod.flatMap((each): readonly Hop[] => each.nexthops ?? [each]);
        assert.deepEqual(hops.map(({ gateway }) => gateway).sort(), [...gateways]);
        await trial.succeeds('CHECK', { config: { ...config, prevResult } });
        const lost = [family, 'route', 'del', dst, 'via', gateways[1]];
        await trial.ground.must('ip', '-n', 'pod', ...lost);
        await trial.refuses('CHECK', { code: 105 }, { config: { ...config, prevResult } });
      },
    }),
  ),
  {
    id: 'routes',
    title: 'have the metric, the MTU, the segment size, the table and the scope that are asked for',
    versions: since('1.1.0'),
    run: async (trial) => {
      const routes = [
        { dst: '192.0.2.0/24', gw: '10.7.0.9', mtu: 1300, advmss: 1200, priority: 7, table: 5000 },
        { dst: '198.51.100.0/24', scope: 253 },
        { dst: '203.0.113.0/24', scope: 200 },
      ];
      const config = { isGateway: true, ipam: { ...ipv4, routes } };
      const prevResult = await trial.addPod({ config });
      assert.deepEqual(prevResult.routes, routes);
      const [elsewhere] = await trial.routes('-4', 'pod', 'table', '5000');
      assert.deepEqual(
        [elsewhere?.dst, elsewhere?.metric, elsewhere?.metrics],
        ['192.0.2.0/24', 7, [{ mtu: 1300, advmss: 1200 }]],
      );
      const scopes = (await trial.routes('-4', 'pod')).map(({ dst, gateway, scope }) => [
        dst,
        gateway,
        scope,
      ]);
      assert.deepEqual(scopes.slice(1), [
        ['198.51.100.0/24', undefined, 'link'],
        ['203.0.113.0/24', '10.7.0.1', 'site'],
      ]);
      await trial.succeeds('CHECK', { config: { ...config, prevResult } });
    },
  },
  ...requests.map(
    ([place, options]): Case => ({
      id: 'ips',
      title: `an address is requested by ${place}`,
      run: async (trial) => {
        assert.deepEqual(addressesIn(await trial.addPod(options)), ['10.7.0.77/24']);
      },
    }),
  ),
  ...several.map(
    ([what, ipam, ips, versions]): Case => ({
      id: 'ips',
      title: `are requested, ${what}`,
      versions,
      run: async (trial) => {
        const args = { cni: { ips: ips.map((each) => each.replace(/\/.*/, '')).reverse() } };
        assert.deepEqual(addressesIn(await trial.addPod({ config: { ipam, args } })), ips);
      },
    }),
  ),
  {
    id: 'ips',
    title: 'an address that cannot be had fails ADD, and nothing is held',
    run: async (trial) => {
      const ipam = { type: 'host-local', ranges: [[{ subnet: '10.7.0.0/24', rangeEnd: '10.7.0.3' }]] };
      await trial.pod();
      await trial.pod('peer');
      await trial.add({ env: of('peer'), config: { ipam } });
      for (const [ip, msg] of impossible) {
        const config = { ipam, args: { cni: { ips: [ip] } } };
        await trial.refuses('ADD', { code: 102, msg }, { config });
        await trial.succeeds('DEL', { config: { ipam } });
      }
      assert.deepEqual(addressesIn(await trial.add({ config: { ipam } })), ['10.7.0.3/24']);
    },
  },
  {
    id: 'ipRanges',
    title: 'of the runtime come first',
    versions: since('0.3.0'),
    run: async (trial) => {
      const runtimeConfig = { ipRanges: [[{ subnet: '10.8.0.0/24', rangeStart: '10.8.0.50' }]] };
      const result = await trial.addPod({ config: { runtimeConfig } });
      assert.deepEqual(addressesIn(result), ['10.8.0.50/24', '10.7.0.2/24']);
    },
  },
  {
    id: 'ranges',
    title: 'an address just freed is the last to be given again',
    versions: ['1.0.0'],
    run: async (trial) => {
      const ipam = { type: 'host-local', ranges: [[{ subnet: '10.7.0.0/24', rangeEnd: '10.7.0.4' }]] };
      await trial.pod();
      const given: string[] = [];
      for (let i = 0; i < 4; i++) {
        given.push(...addressesIn(await trial.add({ config: { ipam } })));
        await trial.succeeds('DEL', { config: { ipam } });
      }
      assert.deepEqual(given, ['10.7.0.2/24', '10.7.0.3/24', '10.7.0.4/24', '10.7.0.2/24']);
    },
  },
  ...whole.map(
    ([what, set, given]): Case => ({
      id: 'ranges',
      title: `give ${what}, and then nothing`,
      versions: ['1.0.0'],
      run: async (trial) => {
        const config = { ipam: { type: 'host-local', ranges: [set] } };
        const found: string[] = [];
        for (const [i] of given.entries()) {
          await trial.pod(`pod${i}`);
          found.push(...addressesIn(await trial.add({ env: of(`pod${i}`), config })));
        }
        assert.deepEqual(found, given);
        await trial.pod();
        await trial.refuses('ADD', { code: 101, msg: /no IP addresses available in range set/ }, { config });
      },
    }),
  ),
  ...files.map(
    ([what, content]): Case => ({
      id: 'dataDir',
      title: `an allocation of host-local's, ${what}, ends with its pod's DEL`,
      versions: ['1.0.0'],
      run: async (trial) => {
        await trial.ground.must('mkdir', '-p', '/var/lib/cni/networks/trial');
        await trial.ground.run(['tee', '/var/lib/cni/networks/trial/10.7.0.2'], content);
        const config = { ipam: onlyOne };
        for (const name of ['pod', 'early', 'late']) await trial.pod(name);
        await trial.refuses('ADD', { code: 101 }, { env: of('early'), config });
        await trial.succeeds('DEL', { config });
        assert.deepEqual(addressesIn(await trial.add({ env: of('late'), config })), ['10.7.0.2/24']);
      },
    }),
  ),
];
