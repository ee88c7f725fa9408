/** The configuration: bridge options, ipam, capabilities, args; what is understood and what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatCidr } from '../../../inet/cidr.ts';
import { formatIp } from '../../../inet/ip.ts';
import type { Addressing } from '../../../plugin/protocol/network.ts';
import { assertRefused, configOf, type Invocation, invoke, type Refusal } from './plugin.ts';

type Config = Record<string, unknown>;

const hostLocal = (more: Config = {}) => ({ ipam: { type: 'host-local', subnet: '10.1.0.0/24', ...more } });
const ranges = (...sets: Config[][]) => ({ ipam: { type: 'host-local', ranges: sets } });
const runtime = (runtimeConfig: Config) => ({ runtimeConfig });

/** Sets as text: `10.1.0.0/24 10.1.0.1-10.1.0.254 gw 10.1.0.1`. */
function setsOf(addressing: Addressing): string[][] {
  assert.ok(addressing.kind === 'ranges');
  return addressing.sets.map((set) =>
    set.map(
      (range) =>
        `${formatCidr(range.subnet)} ${formatIp(range.start)}-${formatIp(range.end)} gw ${formatIp(range.gateway)}`,
    ),
  );
}

function requestedOf(addressing: Addressing): string[] {
  assert.ok(addressing.kind !== 'none');
  return addressing.requested.map(formatIp);
}

describe('the bridge', () => {
  it('has what a leased subnet needs, if nothing is said', async () => {
    const { bridge } = await configOf({});
    assert.deepEqual(bridge, {
      bridge: 'cni0',
      isGateway: true,
      isDefaultGateway: true,
      forceAddress: false,
      ipMasq: false,
      mtuBytes: undefined,
      hairpinMode: true,
      promiscMode: false,
      macspoofchk: false,
      holdsMac: true,
      ipspoofchk: true,
      portIsolation: false,
      enabledad: false,
      disableContainerInterface: false,
    });
  });
  it("has the reference's defaults with ranges of its own", async () => {
    const { bridge } = await configOf({ config: hostLocal() });
    assert.deepEqual([bridge.isGateway, bridge.isDefaultGateway, bridge.hairpinMode], [false, false, false]);
  });
  it('takes every option, keys in any case', async () => {
    const { bridge } = await configOf({
      config: {
        ...hostLocal(),
        BRIDGE: 'br0',
        ISGATEWAY: true,
        forceaddress: true,
        IPMasq: true,
        ipMasqBackend: 'nftables',
        MTU: 1400,
        PromiscMode: true,
        macspoofchk: true,
        portIsolation: true,
        enabledad: true,
      },
    });
    assert.deepEqual(bridge, {
      bridge: 'br0',
      isGateway: true,
      isDefaultGateway: false,
      forceAddress: true,
      ipMasq: true,
      mtuBytes: 1400,
      hairpinMode: false,
      promiscMode: true,
      macspoofchk: true,
      holdsMac: true,
      ipspoofchk: false,
      portIsolation: true,
      enabledad: true,
      disableContainerInterface: false,
    });
  });
  it('is a gateway if it is the default gateway', async () => {
    const { bridge } = await configOf({ config: { ...hostLocal(), isDefaultGateway: true } });
    assert.equal(bridge.isGateway, true);
  });
  it('is not hairpinned by default where it is promiscuous', async () => {
    const { bridge } = await configOf({ config: { promiscMode: true } });
    assert.equal(bridge.hairpinMode, false);
  });
  it('accepts an MTU of 0 and VLAN options that ask for nothing', async () => {
    for (const preserveDefaultVlan of [false, true]) {
      const config = { mtu: 0, vlan: 0, vlanTrunk: [], preserveDefaultVlan, bridge: '' };
      assert.equal((await configOf({ config })).bridge.bridge, 'cni0');
    }
  });
  it('leaves the container interface down only without addresses', async () => {
    const { addressing, bridge } = await configOf({ config: { disableContainerInterface: true } });
    assert.equal(addressing.kind, 'none');
    assert.equal(bridge.disableContainerInterface, true);
  });

  const refused: [config: Config, expected: Refusal][] = [
    [{ vlan: 100 }, { code: 2, msg: 'unsupported field vlan: 100' }],
    [{ VLAN: 100 }, { code: 2 }],
    [{ vlanTrunk: [{ id: 5 }] }, { code: 2, msg: 'unsupported field vlanTrunk: [{"id":5}]' }],
    [
      { preserveDefaultVlan: 'yes' },
      { code: 6, msg: 'preserveDefaultVlan must be true or false, not "yes"' },
    ],
    [{ ipMasqBackend: 'iptables' }, { code: 2, msg: /ipMasqBackend: "iptables"/ }],
    [
      { hairpinMode: true, promiscMode: true },
      { code: 7, msg: 'cannot set hairpin mode and promiscuous mode at the same time' },
    ],
    [
      { ...hostLocal(), disableContainerInterface: true },
      { code: 7, msg: 'cannot use IPAM when DisableContainerInterface flag is set' },
    ],
    [{ bridge: 'a/b' }, { code: 7, msg: /bridge "a\/b" cannot be used/ }],
    [{ bridge: 'a'.repeat(16) }, { code: 7 }],
    [{ mtu: 1e300 }, { code: 6, msg: /mtu.*a whole number of at most 64 bits/ }],
    [{ bridge: '\0' }, { code: 7, msg: /bridge contains the character U\+0000/ }],
    [{ bridge: 'br0\0x' }, { code: 7, msg: /bridge contains the character U\+0000/ }],
    [{ bridge: 'br\u001b[2J' }, { code: 7, msg: /contains control characters/ }],
    [
      { ipam: { ...hostLocal().ipam, dataDir: '/a\0b' } },
      { code: 7, msg: /ipam.dataDir contains the character U\+0000/ },
    ],
    [
      { ipam: { ...hostLocal().ipam, resolvConf: '/a\0b' } },
      { code: 7, msg: /ipam.resolvConf contains the character U\+0000/ },
    ],
    [{ mtu: -1 }, { code: 7 }],
    [{ mtu: 65536 }, { code: 7 }],
    [{ mtu: '1500' }, { code: 6, msg: 'mtu must be a whole number of at most 64 bits, not "1500"' }],
    [{ mtu: 1500.5 }, { code: 6 }],
    [{ isGateway: 'true' }, { code: 6, msg: 'isGateway must be true or false, not "true"' }],
    [{ bridge: 7 }, { code: 6 }],
    [{ ipam: [] }, { code: 6 }],
    [{ runtimeConfig: 'x' }, { code: 6 }],
    [{ args: { cni: 'x' } }, { code: 6 }],
  ];
  for (const [config, expected] of refused) {
    it(`cannot be configured with ${JSON.stringify(config)}`, async () => {
      const outcome = await invoke({ verb: 'ADD', config });
      assertRefused(outcome, expected);
      assert.deepEqual(outcome.calls, []);
    });
  }
});

describe('addresses', () => {
  const kinds: [config: Config, kind: Addressing['kind']][] = [
    [{}, 'lease'],
    [{ ipam: null }, 'lease'],
    [{ ipam: { type: 'weft' } }, 'lease'],
    [{ ipam: { type: 'weft', routes: [{ dst: '10.0.0.0/8' }] } }, 'lease'],
    [{ ipam: {} }, 'none'],
    [{ ipam: { type: '' } }, 'none'],
    [hostLocal(), 'ranges'],
    [{ ipam: { ranges: [[{ subnet: '10.1.0.0/24' }]] } }, 'ranges'],
    [runtime({ ipRanges: [[{ subnet: '10.1.0.0/24' }]] }), 'ranges'],
  ];
  for (const [config, kind] of kinds) {
    it(`${JSON.stringify(config)} is ${kind}`, async () => {
      assert.equal((await configOf({ config })).addressing.kind, kind);
    });
  }

  const accepted: [config: Config, sets: string[][]][] = [
    [hostLocal(), [['10.1.0.0/24 10.1.0.1-10.1.0.254 gw 10.1.0.1']]],
    [ranges([{ subnet: 'fd00::/64' }]), [['fd00::/64 fd00::1-fd00::ffff:ffff:ffff:ffff gw fd00::1']]],
    [ranges([{ subnet: '10.1.0.0/30' }]), [['10.1.0.0/30 10.1.0.1-10.1.0.2 gw 10.1.0.1']]],
    [
      hostLocal({ rangeStart: '10.1.0.20', rangeEnd: '10.1.0.30', gateway: '10.1.0.254' }),
      [['10.1.0.0/24 10.1.0.20-10.1.0.30 gw 10.1.0.254']],
    ],
    [
      hostLocal({ ranges: [[{ subnet: '10.2.0.0/24' }], [{ subnet: 'fd00::/126' }]] }),
      [
        ['10.1.0.0/24 10.1.0.1-10.1.0.254 gw 10.1.0.1'],
        ['10.2.0.0/24 10.2.0.1-10.2.0.254 gw 10.2.0.1'],
        ['fd00::/126 fd00::1-fd00::3 gw fd00::1'],
      ],
    ],
    [
      { ...hostLocal(), ...runtime({ IPRanges: [[{ Subnet: '10.9.0.0/24' }]] }) },
      [['10.9.0.0/24 10.9.0.1-10.9.0.254 gw 10.9.0.1'], ['10.1.0.0/24 10.1.0.1-10.1.0.254 gw 10.1.0.1']],
    ],
    [
      ranges([
        { subnet: '10.1.0.0/24', rangeEnd: '10.1.0.100' },
        { subnet: '10.1.0.0/24', rangeStart: '10.1.0.101' },
      ]),
      [['10.1.0.0/24 10.1.0.1-10.1.0.100 gw 10.1.0.1', '10.1.0.0/24 10.1.0.101-10.1.0.254 gw 10.1.0.1']],
    ],
  ];
  for (const [config, sets] of accepted) {
    it(`of ${JSON.stringify(config)} are ${JSON.stringify(sets)}`, async () => {
      assert.deepEqual(setsOf((await configOf({ config })).addressing), sets);
    });
  }

  const one = { subnet: '10.1.0.0/24' };
  const refused: [config: Config, expected: Refusal][] = [
    [{ ipam: { type: 'dhcp' } }, { code: 2, msg: /ipam\.type "dhcp" is not supported/ }],
    [{ ipam: { type: 'weft', subnet: '10.1.0.0/24' } }, { code: 7 }],
    [{ ipam: { type: 'host-local' } }, { code: 7, msg: 'no IP ranges specified' }],
    [ranges([]), { code: 7, msg: 'range set 0 is empty' }],
    [ranges([{}]), { code: 7, msg: /ipam\.ranges\[0\]\[0\]\.subnet is missing/ }],
    [ranges([one, { subnet: 'fd00::/64' }]), { code: 7, msg: /mixed address families/ }],
    [ranges([one, one]), { code: 7, msg: 'subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.254 overlap' }],
    [ranges([one], [one]), { code: 7, msg: 'range set 0 overlaps with 1' }],
    [hostLocal({ subnet: '10.1.0.0/31' }), { code: 7, msg: /10\.1\.0\.0\/31 too small to allocate from/ }],
    [hostLocal({ subnet: 'fd00::/127' }), { code: 7, msg: /too small/ }],
    [hostLocal({ subnet: '10.1.0.5/24' }), { code: 7, msg: /^Network has host bits set/ }],
    [hostLocal({ subnet: '10.1.0.0' }), { code: 7 }],
    [
      hostLocal({ rangeStart: '10.2.0.1' }),
      { code: 7, msg: 'RangeStart 10.2.0.1 not in network 10.1.0.0/24' },
    ],
    [hostLocal({ rangeEnd: 'fd00::1' }), { code: 7, msg: /RangeEnd fd00::1 not in network/ }],
    [hostLocal({ rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' }), { code: 7, msg: /comes after RangeEnd/ }],
    [hostLocal({ gateway: 'fd00::1' }), { code: 7, msg: /another family/ }],
    [hostLocal({ gateway: 'gw' }), { code: 7, msg: 'ipam.gateway must be an IP address, not "gw"' }],
    [hostLocal({ routes: [{ dst: 'everywhere' }] }), { code: 7, msg: /ipam\.routes\[0\]\.dst/ }],
    [hostLocal({ routes: [{ dst: '10.0.0.0/8', priority: -1 }] }), { code: 7, msg: /routes\[0\]\.priority/ }],
    [hostLocal({ routes: [{ dst: '10.0.0.0/8', scope: 256 }] }), { code: 7, msg: /routes\[0\]\.scope/ }],
    [hostLocal({ resolvConf: 'resolv.conf' }), { code: 7, msg: /absolute path/ }],
    [
      { ipam: {}, args: { cni: { ips: ['10.1.0.5'] } } },
      { code: 7, msg: /addresses are requested/ },
    ],
    [
      { cniVersion: '0.2.0', ipam: {} },
      { code: 7, msg: 'cannot convert: no valid IP addresses' },
    ],
    [
      { cniVersion: '0.1.0', ...ranges([one], [{ subnet: '10.2.0.0/24' }]) },
      { code: 7, msg: 'CNI version 0.1.0 does not support more than 1 address per family' },
    ],
  ];
  for (const [config, expected] of refused) {
    it(`cannot come from ${JSON.stringify(config)}`, async () => {
      const outcome = await invoke({ verb: 'ADD', config });
      assertRefused(outcome, expected);
      assert.deepEqual(outcome.calls, []);
    });
  }
  it('of one IPv4 and one IPv6 range can be given in 0.2.0', async () => {
    const config = { cniVersion: '0.2.0', ...ranges([one], [{ subnet: 'fd00::/64' }]) };
    assert.equal(setsOf((await configOf({ config })).addressing).length, 2);
  });
  it('come with routes, resolvConf and the folder that host-local used', async () => {
    const routes = [{ dst: '0.0.0.0/0', gw: '10.1.0.7' }, { dst: '10.9.0.1/8' }];
    const config = hostLocal({ routes, resolvConf: '/etc/resolv.conf', dataDir: '/tmp/x' });
    const { addressing } = await configOf({ config });
    assert.ok(addressing.kind === 'ranges');
    assert.deepEqual(
      addressing.routes.map(({ dst, gw }) => [formatCidr(dst), gw && formatIp(gw)]),
      [
        ['0.0.0.0/0', '10.1.0.7'],
        ['10.0.0.0/8', undefined],
      ],
    );
    assert.deepEqual([addressing.resolvConf, addressing.hostLocalDir], ['/etc/resolv.conf', '/tmp/x']);
  });
  it("were host-local's in /var/lib/cni/networks unless it was told otherwise", async () => {
    const { addressing } = await configOf({});
    assert.ok(addressing.kind === 'lease');
    assert.equal(addressing.hostLocalDir, '/var/lib/cni/networks');
  });
  it('are requested in three places, which add up; prefix lengths do not matter', async () => {
    const { addressing } = await configOf({
      env: { CNI_ARGS: 'IP=10.1.0.5' },
      config: {
        ...hostLocal(),
        args: { cni: { ips: ['10.1.0.6/24', '10.1.0.5'] } },
        ...runtime({ ips: ['10.1.0.7', 'fd00::1/64'] }),
      },
    });
    assert.deepEqual(requestedOf(addressing), ['10.1.0.5', '10.1.0.6', '10.1.0.7', 'fd00::1']);
  });
});

describe('dns', () => {
  const dns = (nameserver: string) => ({ nameservers: [nameserver], search: [], options: [] });
  it("comes from the runtime's capability, else from the configuration, else from neither", async () => {
    const fromRuntime = runtime({ dns: { Servers: ['10.0.0.1'], Searches: [], Options: null } });
    const own = { dns: { nameservers: ['10.0.0.2'] } };
    assert.deepEqual((await configOf({ config: { ...fromRuntime, ...own } })).dns, dns('10.0.0.1'));
    assert.deepEqual((await configOf({ config: own })).dns, { ...dns('10.0.0.2'), domain: undefined });
    assert.equal((await configOf({ config: { dns: {} } })).dns, undefined);
  });
});

describe('the MAC', () => {
  const [a, b, c] = ['c2:11:22:33:44:01', 'c2:11:22:33:44:02', 'c2:11:22:33:44:03'];
  const env = { CNI_ARGS: `MAC=${a}` };
  const args = { cni: { mac: b } };
  const cases: [what: string, invocation: Omit<Invocation, 'verb'>, mac: string | undefined][] = [
    ['nothing', {}, undefined],
    ['CNI_ARGS', { env }, a],
    ['args over CNI_ARGS', { env, config: { args } }, b],
    ['runtimeConfig over both', { env, config: { args, ...runtime({ mac: c?.toUpperCase() }) } }, c],
    [
      'CNI_ARGS where the others are empty',
      { env, config: { args: { cni: {} }, ...runtime({ mac: '' }) } },
      a,
    ],
  ];
  for (const [what, invocation, mac] of cases) {
    it(`is that of ${what}`, async () => {
      assert.equal((await configOf(invocation)).mac, mac);
    });
  }
  for (const mac of ['garbage', '01:00:5e:00:00:01', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', 'c2:11']) {
    it(`cannot be ${mac}`, async () => {
      const outcome = await invoke({ verb: 'ADD', config: runtime({ mac }) });
      assertRefused(outcome, { code: 7, msg: /runtimeConfig\.mac must be a unicast MAC/ });
    });
  }
});

describe('CNI_ARGS', () => {
  const refused: [text: string, msg: RegExp][] = [
    ['FOO=BAR', /unknown args \["FOO=BAR"\]/],
    ['IgnoreUnknown=0;FOO=BAR', /unknown args \["FOO=BAR"\]/],
    ['ignoreunknown=1;FOO=BAR', /unknown args/],
    ['IP=10.1.0.5;', /invalid pair ""/],
    ['IP', /invalid pair "IP"/],
    ['A=B=C', /invalid pair "A=B=C"/],
    ['IgnoreUnknown=yes;FOO=BAR', /IgnoreUnknown must be true or false/],
    ['IgnoreUnknown=constructor;FOO=BAR', /IgnoreUnknown must be true or false/],
  ];
  for (const [text, msg] of refused) {
    it(`cannot be ${JSON.stringify(text)}`, async () => {
      assertRefused(await invoke({ verb: 'ADD', env: { CNI_ARGS: text } }), { code: 4, msg });
    });
  }
  for (const text of [
    '',
    'IgnoreUnknown=TRUE;FOO=BAR',
    'FOO=BAR;IgnoreUnknown=1',
    'IP=10.1.0.9;IP=10.1.0.5',
  ]) {
    it(`can be ${JSON.stringify(text)}; the last of a key counts`, async () => {
      const { addressing } = await configOf({ env: { CNI_ARGS: text }, config: hostLocal() });
      assert.deepEqual(requestedOf(addressing), text.includes('IP=') ? ['10.1.0.5'] : []);
    });
  }
});

describe('host ports that mean the same', () => {
  const addressesOf = async (...hostIps: string[]) => {
    const portMappings = hostIps.map((hostIP) => ({ hostPort: 80, containerPort: 80, hostIP }));
    const { hostPorts } = await configOf({ config: runtime({ portMappings }) });
    return hostPorts.map(({ hostIp }) => (hostIp ? formatIp(hostIp) : ''));
  };
  const cases: [given: string[], kept: string[]][] = [
    [['', '0.0.0.0'], ['']],
    [['0.0.0.0', ''], ['']],
    [['::', '0.0.0.0', ''], ['']],
    [['0.0.0.0', '0.0.0.0'], ['0.0.0.0']],
    [
      ['0.0.0.0', '::'],
      ['0.0.0.0', '::'],
    ],
    [
      ['192.0.2.1', ''],
      ['192.0.2.1', ''],
    ],
    [['2001:db8::1', '2001:DB8:0::1'], ['2001:db8::1']],
  ];
  for (const [given, kept] of cases) {
    it(`${JSON.stringify(given)}: ${JSON.stringify(kept)} is mapped`, async () => {
      assert.deepEqual(await addressesOf(...given), kept);
    });
  }
});

describe('a capability', () => {
  it('is read as containerd spells it, whose structs have no tags', async () => {
    const config = runtime({
      portMappings: [
        { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
        { HostPort: 5353, ContainerPort: 53, Protocol: 'UDP', HostIP: '127.0.0.1' },
        { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
        { hostPort: 9, containerPort: 9, protocol: 'sctp', hostIP: '::' },
      ],
      bandwidth: { IngressRate: 1e6, IngressBurst: 4294967295, EgressRate: 0, EgressBurst: 0 },
      cgroupPath: '/kubepods/x',
      'io.kubernetes.cri.pod-annotations': { 'a/B': 'c' },
    });
    const { hostPorts, bandwidth, cgroupPath, podAnnotations } = await configOf({ config });
    assert.deepEqual(
      hostPorts.map((each) => [
        each.hostPort,
        each.containerPort,
        each.protocol,
        each.hostIp && formatIp(each.hostIp),
      ]),
      [
        [8080, 80, 'tcp', undefined],
        [5353, 53, 'udp', '127.0.0.1'],
        [9, 9, 'sctp', '::'],
      ],
    );
    assert.deepEqual(bandwidth, {
      ingress: { bitsPerSecond: 1_000_000, burstBits: 4_294_967_295 },
      egress: undefined,
    });
    assert.equal(cgroupPath, '/kubepods/x');
    assert.deepEqual(podAnnotations, { 'a/B': 'c' });
  });
  const aliases: [value: unknown, names: string[]][] = [
    [
      ['web', 'www'],
      ['web', 'www'],
    ],
    [{ net: ['web'], other: ['x'] }, ['web']],
    [{ Net: ['web'] }, []],
    [null, []],
  ];
  for (const [value, names] of aliases) {
    it(`aliases ${JSON.stringify(value)} are ${JSON.stringify(names)}`, async () => {
      assert.deepEqual((await configOf({ config: runtime({ aliases: value }) })).aliases, names);
    });
  }

  const mapping = (more: Config) =>
    runtime({ portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp', ...more }] });
  const refused: [config: Config, expected: Refusal][] = [
    [mapping({ hostPort: 0 }), { code: 7, msg: 'Invalid host port number: 0' }],
    [mapping({ hostPort: 65536 }), { code: 7, msg: 'Invalid host port number: 65536' }],
    [mapping({ containerPort: -5 }), { code: 7, msg: 'Invalid container port number: -5' }],
    [mapping({ protocol: 'icmp' }), { code: 7, msg: /must be tcp, udp, sctp, not "icmp"/ }],
    [mapping({ hostIP: 'localhost' }), { code: 7, msg: /portMappings\[0\]\.hostIP/ }],
    [mapping({ hostPort: '80' }), { code: 6 }],
    [runtime({ portMappings: {} }), { code: 6, msg: /runtimeConfig\.portMappings must be a list/ }],
    [
      runtime({
        portMappings: [
          { hostPort: 80, containerPort: 1 },
          { hostPort: 80, containerPort: 2 },
        ],
      }),
      { code: 7, msg: 'host port 80/tcp is mapped to both 1 and 2' },
    ],
    ...[
      ['', '0.0.0.0'],
      ['0.0.0.0', ''],
      ['::', ''],
      ['0.0.0.0', '0.0.0.0'],
      ['2001:db8::1', '2001:DB8:0::1'],
      ['192.0.2.1', '::ffff:192.0.2.1'],
    ].map(([one, other]): [Config, Refusal] => [
      runtime({
        portMappings: [
          { hostPort: 80, containerPort: 1, hostIP: one },
          { hostPort: 80, containerPort: 2, hostIP: other },
        ],
      }),
      { code: 7, msg: /is mapped to both/ },
    ]),
    [runtime({ bandwidth: { ingressRate: 8 } }), { code: 7, msg: /if rate is set, burst must also be set/ }],
    [runtime({ bandwidth: { egressBurst: 8 } }), { code: 7, msg: /if burst is set, rate must also be set/ }],
    [runtime({ bandwidth: { ingressRate: -8, ingressBurst: 8 } }), { code: 7, msg: /negative/ }],
    [runtime({ bandwidth: { ingressRate: 8, ingressBurst: 2 ** 35 } }), { code: 7, msg: /below 4 GiB/ }],
    [runtime({ bandwidth: { ingressRate: 7, ingressBurst: 8 } }), { code: 7, msg: /at least 8 bits/ }],
    [runtime({ ips: ['x'] }), { code: 7, msg: /runtimeConfig\.ips\[0\]/ }],
    [runtime({ aliases: 'web' }), { code: 6, msg: /aliases must be a list or an object/ }],
    [runtime({ cgroupPath: 5 }), { code: 6 }],
    [runtime({ 'io.kubernetes.cri.pod-annotations': { a: 1 } }), { code: 6 }],
  ];
  for (const [config, expected] of refused) {
    it(`cannot be ${JSON.stringify(config)}`, async () => {
      const outcome = await invoke({ verb: 'ADD', config });
      assertRefused(outcome, expected);
      assert.deepEqual(outcome.calls, []);
    });
  }
});
