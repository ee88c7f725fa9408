/** The options of the reference bridge and of host-local. */
import assert from 'node:assert/strict';
import type { Json } from '../../../libcni/json.ts';
import { type Case, since } from '../case.ts';
import { globalAddresses, isVeth, type Link } from '../kernel-state.ts';
import { addressesIn, type CallOptions, ipv4, ipv6, of, type Refusal, type Trial } from '../trial.ts';

async function addedWith(trial: Trial, options: CallOptions): Promise<Json> {
  await trial.pod();
  return await trial.add(options);
}

const veth = async (trial: Trial): Promise<Link | undefined> => (await trial.links()).find(isVeth);

const mac = 'c2:11:22:33:44:01';

const macs: [place: string, options: CallOptions][] = [
  ['CNI_ARGS', { env: { CNI_ARGS: `IgnoreUnknown=1;MAC=${mac}` } }],
  [
    'args over CNI_ARGS',
    { env: { CNI_ARGS: 'IgnoreUnknown=1;MAC=c2:11:22:33:44:99' }, config: { args: { cni: { mac } } } },
  ],
  [
    'runtimeConfig over args',
    { config: { args: { cni: { mac: 'c2:11:22:33:44:99' } }, runtimeConfig: { mac } } },
  ],
];

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

const refused: [what: string, config: Json, refusal: Refusal][] = [
  [
    'hairpin and promiscuous mode together',
    { hairpinMode: true, promiscMode: true },
    { code: 7, msg: /cannot set hairpin mode and promiscuous mode/ },
  ],
  ['no ranges', { ipam: { type: 'host-local' } }, { code: 7, msg: /no IP ranges specified/ }],
  [
    'ranges that overlap',
    { ipam: { type: 'host-local', ranges: [ipv4.ranges.flat().concat(ipv4.ranges.flat())] } },
    { code: 7, msg: /subnets .* overlap/ },
  ],
  [
    'a network that is too small',
    { ipam: { type: 'host-local', subnet: '10.7.0.0/31' } },
    { code: 7, msg: /too small to allocate from/ },
  ],
  [
    'a subnet with host bits',
    { ipam: { type: 'host-local', subnet: '10.7.0.5/24' } },
    { code: 7, msg: /Network has host bits set/ },
  ],
  [
    'a range that starts elsewhere',
    { ipam: { type: 'host-local', subnet: '10.7.0.0/24', rangeStart: '10.8.0.1' } },
    { code: 7, msg: /RangeStart 10\.8\.0\.1 not in network/ },
  ],
];

const notSupported = 'supports VLANs, which weft refuses';

export const optionCases: readonly Case[] = [
  {
    id: 'isGateway',
    title: 'the bridge has the gateway address only if it is the gateway',
    run: async (trial) => {
      await addedWith(trial, { config: { isGateway: false } });
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')), []);
      await trial.pod('peer');
      await trial.add({ env: of('peer'), config: { isGateway: true } });
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')), ['10.7.0.1/24']);
    },
  },
  {
    id: 'forceAddress',
    title: 'another address on the bridge is refused, or replaced if told so',
    run: async (trial) => {
      await addedWith(trial, { config: { isGateway: true } });
      await trial.pod('peer');
      const elsewhere = { isGateway: true, ipam: { type: 'host-local', subnet: '10.8.0.0/24' } };
      const refusal = { code: 104, msg: /already has an IP address different from/ };
      await trial.refuses('ADD', refusal, { env: of('peer'), config: elsewhere });
      await trial.succeeds('DEL', { env: of('peer'), config: elsewhere });
      await trial.add({ env: of('peer'), config: { ...elsewhere, forceAddress: true } });
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')), ['10.8.0.1/24']);
    },
  },
  {
    id: 'bridge',
    title: 'a device of that name that is no bridge is refused',
    run: async (trial) => {
      await trial.pod();
      await trial.ground.must('ip', 'link', 'add', 'trial0', 'type', 'veth', 'peer', 'name', 'trial1');
      await trial.refuses('ADD', { code: 104, msg: /"?trial0"? already exists but is not a bridge/ });
    },
  },
  {
    id: 'bridge',
    title: 'a bridge that exists is used as it is, and its MAC stays when ports come and go',
    run: async (trial) => {
      await trial.ground.must('ip', 'link', 'add', 'trial0', 'type', 'bridge');
      await addedWith(trial, { config: { isGateway: true } });
      const address = (await trial.link('trial0'))?.address;
      for (const name of ['a', 'b', 'c']) {
        await trial.pod(name);
        await trial.add({ env: of(name), config: { isGateway: true } });
      }
      await trial.succeeds('DEL', { config: { isGateway: true } });
      assert.equal((await trial.link('trial0'))?.address, address);
    },
  },
  {
    id: 'mtu',
    title: 'the MTU is that of both ends',
    run: async (trial) => {
      await addedWith(trial, { config: { mtu: 1400 } });
      assert.deepEqual([(await veth(trial))?.mtu, (await trial.link('eth0', 'pod'))?.mtu], [1400, 1400]);
    },
  },
  {
    id: 'hairpinMode',
    title: 'is set on the port',
    run: async (trial) => {
      await addedWith(trial, { config: { hairpinMode: true } });
      assert.equal((await veth(trial))?.linkinfo?.info_slave_data?.hairpin, true);
    },
  },
  {
    id: 'promiscMode',
    title: 'is set on the bridge',
    run: async (trial) => {
      await addedWith(trial, { config: { promiscMode: true } });
      assert.ok((await trial.link('trial0'))?.flags.includes('PROMISC'));
    },
  },
  {
    id: 'portIsolation',
    title: 'is set on the port',
    differs: 'has it since 1.7',
    run: async (trial) => {
      await addedWith(trial, { config: { portIsolation: true } });
      assert.equal((await veth(trial))?.linkinfo?.info_slave_data?.isolated, true);
    },
  },
  {
    id: 'macspoofchk',
    title: 'lets nothing out under a foreign MAC',
    versions: ['1.0.0'],
    run: async (trial) => {
      await addedWith(trial, { config: { macspoofchk: true, isGateway: true } });
      const ping = ['ip', 'netns', 'exec', 'pod', 'ping', '-c1', '-W1', '10.7.0.1'];
      await trial.ground.must(...ping);
      await trial.ground.must('ip', '-n', 'pod', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:66');
      assert.notEqual((await trial.ground.run(ping)).status, 0);
    },
  },
  ...[false, true].map(
    (enabledad): Case => ({
      id: 'enabledad',
      title: `duplicate address detection is ${enabledad ? 'on if asked for' : 'off unless asked for'}`,
      versions: ['1.0.0'],
      run: async (trial) => {
        await addedWith(trial, { config: { enabledad, ipam: ipv6 } });
        const key = '/proc/sys/net/ipv6/conf/eth0/accept_dad';
        const value = await trial.ground.must('ip', 'netns', 'exec', 'pod', 'cat', key);
        assert.equal(value.trim() !== '0', enabledad);
      },
    }),
  ),
  {
    id: 'disableContainerInterface',
    title: "leaves the container's end down",
    versions: since('0.3.0'),
    differs: 'has it since 1.4.1',
    run: async (trial) => {
      await addedWith(trial, { config: { ipam: {}, disableContainerInterface: true } });
      assert.ok(!(await trial.link('eth0', 'pod'))?.flags.includes('UP'));
    },
  },
  {
    id: 'dns',
    title: "the configuration's replaces that of resolvConf",
    differs: "up to 1.4 the configuration's replaces that of resolvConf even if it is empty",
    run: async (trial) => {
      await trial.ground.run(
        ['tee', '/run/trial/resolv.conf'],
        'nameserver 192.0.2.1\nsearch a.example b.example\n',
      );
      const ipam = { ...ipv4, resolvConf: '/run/trial/resolv.conf' };
      const read = await addedWith(trial, { config: { ipam } });
      assert.deepEqual(read.dns, { nameservers: ['192.0.2.1'], search: ['a.example', 'b.example'] });
      await trial.pod('peer');
      const dns = { nameservers: ['192.0.2.2'], domain: 'x.example' };
      assert.deepEqual((await trial.add({ env: of('peer'), config: { ipam, dns } })).dns, dns);
    },
  },
  {
    id: 'routes',
    title: 'of the ipam section are in the result and in the pod',
    versions: since('0.3.0'),
    run: async (trial) => {
      const routes = [{ dst: '192.0.2.0/24' }, { dst: '198.51.100.0/24', gw: '10.7.0.9' }];
      const result = await addedWith(trial, { config: { isGateway: true, ipam: { ...ipv4, routes } } });
      assert.deepEqual(result.routes, routes);
      const inPod = await trial.routes('-4', 'pod');
      assert.equal(inPod.find((each) => each.dst === '192.0.2.0/24')?.gateway, '10.7.0.1');
      assert.equal(inPod.find((each) => each.dst === '198.51.100.0/24')?.gateway, '10.7.0.9');
    },
  },
  ...macs.map(
    ([place, options]): Case => ({
      id: 'mac',
      title: `${place} decides`,
      run: async (trial) => {
        await addedWith(trial, options);
        assert.equal((await trial.link('eth0', 'pod'))?.address, mac);
      },
    }),
  ),
  ...requests.map(
    ([place, options]): Case => ({
      id: 'ips',
      title: `an address is requested by ${place}`,
      run: async (trial) => {
        assert.deepEqual(addressesIn(await addedWith(trial, options)), ['10.7.0.77/24']);
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
      const result = await addedWith(trial, { config: { runtimeConfig } });
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
  ...refused.map(
    ([what, config, refusal]): Case => ({
      id: 'refused',
      title: what,
      run: async (trial) => {
        await trial.pod();
        await trial.refuses('ADD', refusal, { config });
      },
    }),
  ),
  ...[{ vlan: 100 }, { vlanTrunk: [{ id: 5 }] }].map(
    (config): Case => ({
      id: 'vlan',
      title: `${JSON.stringify(config)} is refused with its name and value`,
      differs: notSupported,
      run: async (trial) => {
        await trial.pod();
        await trial.refuses('ADD', { code: 2, msg: /vlan(Trunk)?.*(100|\[\{"id":5)/ }, { config });
      },
    }),
  ),
];
