/** The options of the reference bridge, and configurations that it refuses. */
import assert from 'node:assert/strict';
import type { Json } from '../../../json/object.ts';
import { type Case, since } from '../case.ts';
import { globalAddresses, isVeth, type Link } from '../kernel-state.ts';
import { type CallOptions, ipv4, ipv6, of, type Refusal, type Trial } from '../trial.ts';

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

/** Two networks whose gateways one bridge cannot have at once. */
const conflicts = [
  {
    family: 'IPv4',
    ipam: ipv4,
    elsewhere: { type: 'host-local', subnet: '10.8.0.0/24' },
    replaced: '10.8.0.1/24',
  },
  {
    family: 'IPv6',
    ipam: ipv6,
    elsewhere: { type: 'host-local', subnet: 'fd00:7::/56', rangeStart: 'fd00:7::100' },
    replaced: 'fd00:7::1/56',
  },
];

const notSupported = 'supports VLANs, which weft refuses';

export const optionCases: readonly Case[] = [
  {
    id: 'isGateway',
    title: 'the bridge has the gateway address only if it is the gateway',
    run: async (trial) => {
      await trial.addPod({ config: { isGateway: false } });
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')), []);
      await trial.pod('peer');
      await trial.add({ env: of('peer'), config: { isGateway: true } });
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')), ['10.7.0.1/24']);
    },
  },
  ...conflicts.map(
    ({ family, ipam, elsewhere, replaced }): Case => ({
      id: 'forceAddress',
      title: `another ${family} address on the bridge is refused, or replaced if told so`,
      run: async (trial) => {
        await trial.addPod({ config: { ipam, isGateway: true } });
        await trial.pod('peer');
        const config = { isGateway: true, ipam: elsewhere };
        const refusal = { code: 104, msg: /already has an IP address different from/ };
        await trial.refuses('ADD', refusal, { env: of('peer'), config });
        await trial.succeeds('DEL', { env: of('peer'), config });
        await trial.add({ env: of('peer'), config: { ...config, forceAddress: true } });
        assert.deepEqual(globalAddresses(await trial.addresses('trial0')), [replaced]);
      },
    }),
  ),
  {
    id: 'forceAddress',
    title: 'IPv6 networks that do not overlap share a bridge without it',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.addPod({ config: { ipam: ipv6, isGateway: true } });
      await trial.pod('peer');
      const other = { type: 'host-local', subnet: 'fd00:8::/64' };
      await trial.add({ env: of('peer'), config: { ipam: other, isGateway: true } });
      const both = ['fd00:7::1/64', 'fd00:8::1/64'];
      assert.deepEqual(globalAddresses(await trial.addresses('trial0')).sort(), both);
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
      await trial.addPod({ config: { isGateway: true } });
      const before = await trial.link('trial0');
      for (const name of ['a', 'b', 'c']) {
        await trial.pod(name);
        await trial.add({ env: of(name), config: { isGateway: true } });
      }
      await trial.succeeds('DEL', { config: { isGateway: true } });
      const after = await trial.link('trial0');
      assert.deepEqual([after?.ifindex, after?.address], [before?.ifindex, before?.address]);
    },
  },
  {
    id: 'mtu',
    title: 'the MTU is that of both ends',
    run: async (trial) => {
      await trial.addPod({ config: { mtu: 1400 } });
      assert.deepEqual([(await veth(trial))?.mtu, (await trial.link('eth0', 'pod'))?.mtu], [1400, 1400]);
    },
  },
  {
    id: 'hairpinMode',
    title: 'is set on the port',
    run: async (trial) => {
      await trial.addPod({ config: { hairpinMode: true } });
      assert.equal((await veth(trial))?.linkinfo?.info_slave_data?.hairpin, true);
    },
  },
  {
    id: 'promiscMode',
    title: 'is set on the bridge',
    run: async (trial) => {
      await trial.addPod({ config: { promiscMode: true } });
      assert.ok((await trial.link('trial0'))?.flags.includes('PROMISC'));
    },
  },
  {
    id: 'portIsolation',
    title: 'is set on the port',
    differs: 'has it since 1.7',
    run: async (trial) => {
      await trial.addPod({ config: { portIsolation: true } });
      assert.equal((await veth(trial))?.linkinfo?.info_slave_data?.isolated, true);
    },
  },
  {
    id: 'macspoofchk',
    title: 'lets nothing out under a foreign MAC',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.addPod({ config: { macspoofchk: true, isGateway: true } });
      const ping = ['ip', 'netns', 'exec', 'pod', 'ping', '-c1', '10.7.0.1'];
      await trial.ground.must(...ping, '-W10');
      await trial.ground.must('ip', '-n', 'pod', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:66');
      assert.notEqual((await trial.ground.run([...ping, '-W1'])).status, 0);
    },
  },
  ...[false, true].map(
    (enabledad): Case => ({
      id: 'enabledad',
      title: `duplicate address detection is ${enabledad ? 'on if asked for' : 'off unless asked for'}`,
      versions: ['1.0.0'],
      run: async (trial) => {
        await trial.addPod({ config: { enabledad, ipam: ipv6 } });
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
      await trial.addPod({ config: { ipam: {}, disableContainerInterface: true } });
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
      const read = await trial.addPod({ config: { ipam } });
      assert.deepEqual(read.dns, { nameservers: ['192.0.2.1'], search: ['a.example', 'b.example'] });
      await trial.pod('peer');
      const dns = { nameservers: ['192.0.2.2'], domain: 'x.example' };
      assert.deepEqual((await trial.add({ env: of('peer'), config: { ipam, dns } })).dns, dns);
    },
  },
  ...macs.map(
    ([place, options]): Case => ({
      id: 'mac',
      title: `${place} decides`,
      run: async (trial) => {
        await trial.addPod(options);
        assert.equal((await trial.link('eth0', 'pod'))?.address, mac);
        assert.notEqual((await veth(trial))?.address, mac);
      },
    }),
  ),
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
