/** Random calls, reproducible by their seed: what a runtime might send, the same with something amiss, and noise. */
import { flipped, mutate, nearlyRight, noise, type Random } from '../unit/protocol/mutate.ts';

export interface FuzzCall {
  /** The executable: the relay, with an agent that listens, or the plugin in a process of its own. */
  readonly executable: 'weft' | 'weft-standalone';
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array;
}

/** Sandboxes that are there. */
export const pods = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'] as const;

const ranges = (octet: number) => ({
  type: 'host-local',
  ranges: [[{ subnet: `10.${octet}.0.0/24` }], [{ subnet: `fd00:${octet}::/64` }]],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '10.8.0.0/16', gw: `10.${octet}.0.1`, mtu: 1400, priority: 7 }],
});

const portMapping = { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' };
const bandwidth = { IngressRate: 1e6, IngressBurst: 2 ** 32 - 1, EgressRate: 1e6, EgressBurst: 1e6 };

/** Networks that an ADD accepts, and between them every option. */
const networks: readonly [object, ...object[]] = [
  {},
  { runtimeConfig: { portMappings: [portMapping], bandwidth } },
  { macspoofchk: true, ipspoofchk: true, portIsolation: true, runtimeConfig: { mac: '02:11:22:33:44:55' } },
  { bridge: 'br1', isDefaultGateway: true, ipMasq: true, hairpinMode: true, ipam: ranges(9) },
  {
    bridge: 'br1',
    isGateway: true,
    ipMasq: true,
    mtu: 1400,
    ipam: ranges(9),
    args: { cni: { ips: ['10.9.0.20'] } },
  },
  { bridge: 'br2', promiscMode: true, ipam: {}, dns: { nameservers: ['10.0.0.53'], search: ['a.example'] } },
  { bridge: 'br2', disableContainerInterface: true, ipam: {}, macspoofchk: true },
  {
    bridge: 'br3',
    forceAddress: true,
    isGateway: true,
    ipam: { type: 'host-local', subnet: '10.7.0.0/29', rangeStart: '10.7.0.3', gateway: '10.7.0.6' },
    runtimeConfig: { ips: ['10.7.0.4/29'], ipRanges: [[{ subnet: '10.5.0.0/24' }]], bandwidth },
  },
];

const versions = ['1.1.0', '1.1.0', '1.0.0', '0.4.0', '0.3.1', '0.3.0', '0.2.0', '0.1.0', '7.0.0'] as const;
const verbs = ['ADD', 'ADD', 'ADD', 'DEL', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', '', 'add'] as const;
const rarities = [1e9, 60, 20, 6] as const;

export function fuzzCall(random: Random): FuzzCall {
  // The standalone plugin starts Node.js: one call costs as much as ten by the agent.
  const executable = random.oneIn(12) ? 'weft-standalone' : 'weft';
  if (random.oneIn(10)) return { executable, ...nearlyRight(random) };
  if (random.oneIn(10)) return { executable, ...noise(random) };
  return { executable, env: environment(random), stdin: input(random) };
}

function environment(random: Random): Record<string, string> {
  const pod = random.pick(pods);
  const env = {
    CNI_COMMAND: random.pick(verbs),
    CNI_CONTAINERID: pod,
    CNI_NETNS: `/run/netns/${pod}`,
    CNI_IFNAME: random.pick(['eth0', 'eth0', 'net1']),
    CNI_PATH: '/opt/cni/bin',
    ...(random.oneIn(3) ? { CNI_ARGS: random.pick(args) } : {}),
  };
  if (!random.oneIn(4)) return env;
  const [key, values] = random.pick(amiss);
  return { ...env, [key]: random.pick(values) };
}

const args = [
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;IgnoreUnknown=1',
  'IP=10.9.0.77',
  'MAC=02:11:22:33:44:57',
  'FOO=BAR',
  'IP=10.9.0.300',
  'MAC=ff:ff:ff:ff:ff:ff',
  ';;=',
  'IgnoreUnknown=maybe;A=B',
] as const;

type Values = readonly [string, ...string[]];

/** No path of another machine's namespace but those that are this ground's: a call may well be obeyed. */
const amiss: readonly [[string, Values], ...[string, Values][]] = [
  ['CNI_NETNS', ['', '/run/netns/gone', '/run/trial/file', '/run/netns', '/proc/self/ns/net', 'x', '\n']],
  ['CNI_CONTAINERID', ['', '../x', 'a b', 'x'.repeat(300), 'x'.repeat(60_000), '-', 'ü', '%s%n']],
  ['CNI_IFNAME', ['', '..', 'a/b', 'x'.repeat(16), 'lo', 'all', 'default', '%d', 'ü'.repeat(7), 'a\tb']],
  ['CNI_NETNS_OVERRIDE', ['1', 'TRUE', 'maybe']],
  ['CNI_ARGS', ['=', 'x'.repeat(70_000), 'A=B;'.repeat(5000), 'IgnoreUnknown=1;A=B=C']],
  ['CNI_PATH', ['', '/nonexistent', ':::']],
  ['TRACEPARENT', ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '\u0001', 'x'.repeat(9000)]],
];

function input(random: Random): Uint8Array {
  if (random.oneIn(40)) return Buffer.from(random.pick(hostile)());
  const network = {
    cniVersion: random.pick(versions),
    name: random.pick(['weft', 'weft', 'net2']),
    type: 'weft',
    ...random.pick(networks),
    ...(random.oneIn(2) ? { prevResult: previous(random) } : {}),
    ...(random.oneIn(4) ? { 'cni.dev/valid-attachments': [{ containerID: 'p0', ifname: 'eth0' }] } : {}),
  };
  const text = JSON.stringify(mutate(random, network, random.pick(rarities))) ?? '';
  if (random.oneIn(30)) return Buffer.from(text.slice(0, random.below(text.length + 1)));
  return random.oneIn(30) ? flipped(random, Buffer.from(text)) : Buffer.from(text);
}

const previous = (random: Random): object => ({
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'cni0', mac: '02:00:00:00:00:01' },
    { name: 'eth0', mac: '02:11:22:33:44:55', sandbox: `/run/netns/${random.pick(pods)}` },
  ],
  ips: [{ interface: 1, address: '10.244.0.5/24', gateway: '10.244.0.1' }],
  routes: [{ dst: '0.0.0.0/0' }],
  dns: {},
});

/** Texts that parsers and recursive decoders are afraid of. */
const hostile: readonly [() => string, ...(() => string)[]] = [
  () => '',
  () => 'null',
  () => '[]',
  () => '"weft"',
  () => '\ufeff{"name":"weft"}',
  () => '['.repeat(200_000),
  () => `{"name":"weft","cniVersion":"1.1.0","ipam":${'{"ipam":'.repeat(20_000)}1${'}'.repeat(20_001)}`,
  () => `{"name":"weft","runtimeConfig":{"ips":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
  () => `{"name":"weft","prevResult":${'{"x":'.repeat(10_000)}1${'}'.repeat(10_001)}`,
  () => `{"name":"weft","cniVersion":"1.1.0","x":"${'y'.repeat(5 << 20)}"}`,
  () => `{"name":"weft","cniVersion":"1.1.0","__proto__":{"bridge":"x"},"constructor":1,"toString":null}`,
  () => `{"name":"weft","cniVersion":"1.1.0","mtu":1e400,"bridge":"\\u0000"}`,
  () => `{"name":"weft","name":"other","NAME":7,"cniVersion":"1.1.0","CNIVERSION":"0.1.0"}`,
  () =>
    JSON.stringify({
      ...{ cniVersion: '1.1.0', name: 'weft', type: 'weft' },
      runtimeConfig: {
        portMappings: Array.from({ length: 5000 }, (_, i) => ({ hostPort: 20_000 + i, containerPort: 80 })),
      },
    }),
  () =>
    JSON.stringify({
      ...{ cniVersion: '1.1.0', name: 'weft', type: 'weft', bridge: 'br4' },
      ipam: {
        type: 'host-local',
        ranges: Array.from({ length: 300 }, (_, i) => [{ subnet: `10.${i % 256}.0.0/24` }]),
      },
    }),
];
