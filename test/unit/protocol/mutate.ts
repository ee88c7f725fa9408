/** Random calls to a plugin, reproducible by their seed: nearly right ones, and plain noise. */

/** A small generator of 32 random bits (mulberry32); the same seed gives the same calls on any machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(n: number): number {
    return this.bits() % n;
  }

  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  bytes(longest: number): Uint8Array {
    return Uint8Array.from({ length: this.below(longest + 1) }, () => this.below(256));
  }
}

/** One of everything: each key that is decoded, with a value that is accepted somewhere. */
const everything = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'weft',
  bridge: 'cni0',
  isGateway: true,
  isDefaultGateway: true,
  forceAddress: false,
  ipMasq: true,
  ipMasqBackend: 'nftables',
  mtu: 1450,
  hairpinMode: true,
  promiscMode: false,
  vlan: 0,
  vlanTrunk: [],
  preserveDefaultVlan: false,
  macspoofchk: true,
  enabledad: false,
  disableContainerInterface: false,
  portIsolation: false,
  dns: { nameservers: ['10.0.0.53'], domain: 'x', search: ['a'], options: ['b'] },
  ipam: {
    type: 'host-local',
    ranges: [
      [{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.99', gateway: '10.1.0.1' }],
      [{ subnet: 'fd00::/64' }],
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, priority: 5 }, { dst: '::/0' }],
    resolvConf: '/etc/resolv.conf',
    dataDir: '/var/lib/cni/networks',
  },
  args: { cni: { ips: ['10.1.0.20'], mac: 'c2:11:22:33:44:55', labels: [{ key: 'a', value: 'b' }] } },
  capabilities: { portMappings: true },
  runtimeConfig: {
    portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
    bandwidth: { ingressRate: 1000, ingressBurst: 4294967295, egressRate: 1000, egressBurst: 1000 },
    ips: ['10.1.0.21/24'],
    ipRanges: [[{ subnet: '10.2.0.0/24' }]],
    mac: 'c2:11:22:33:44:56',
    dns: { servers: ['10.0.0.54'], searches: [], options: [] },
    aliases: { net: ['web'] },
    cgroupPath: '/x',
    'io.kubernetes.cri.pod-annotations': { a: 'b' },
  },
  prevResult: {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', mac: 'c2:11:22:33:44:55', sandbox: '/run/netns/pod' }],
    ips: [{ interface: 0, address: '10.1.0.5/24', gateway: '10.1.0.1' }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: {},
  },
  'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }],
};

/** Values that decoders stumble over. */
const nasty: readonly [unknown, ...unknown[]] = [
  undefined,
  ...[null, true, -1, 0, 1.5, 1e308, 2 ** 53, '', ' ', '\0', '0', 'true', '%s', '[object Object]', '\ud800'],
  ...['10.0.0.0/33', '::ffff:1.2.3.4/96', 'fe80::1%eth0', '0.0.0.0/0', '1.2.3.4/-1', '::/129', '/', '0x10'],
  ...[[], {}, [[]], [null], { length: 1 }, { toJSON: 1 }, { constructor: 1 }, 'x'.repeat(5000)],
];

const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0', '', '9.9.9', 'x'] as const;
const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'add', ''] as const;
const args = ['', 'IP=10.1.0.7', 'MAC=c2:11:22:33:44:57;IgnoreUnknown=1;A=B', 'A', ';', '=', 'IP=x'] as const;

/** A call whose every part is right more often than not. */
export function nearlyRight(random: Random): { env: Record<string, string>; stdin: Uint8Array } {
  const config = { ...asRecord(mutate(random, everything)), cniVersion: random.pick(versions) };
  const text = JSON.stringify(without(random, config));
  const stdin = Buffer.from(random.oneIn(20) ? text.slice(0, random.below(text.length)) : text);
  return { env: environment(random), stdin: random.oneIn(20) ? flipped(random, stdin) : stdin };
}

/** A call with anything in it. */
export function noise(random: Random): { env: Record<string, string>; stdin: Uint8Array } {
  const env = environment(random);
  for (const key of Object.keys(env)) {
    if (random.oneIn(3) && key !== 'CNI_COMMAND') env[key] = Buffer.from(random.bytes(40)).toString('latin1');
  }
  return { env, stdin: random.bytes(300) };
}

function environment(random: Random): Record<string, string> {
  const right: Record<string, string> = {
    CNI_COMMAND: random.pick(commands),
    CNI_CONTAINERID: random.pick(['pod', 'pod', 'p%', '', 'x'.repeat(10_000)]),
    CNI_NETNS: random.pick(['/run/netns/pod', '/run/netns/pod', '', '\n']),
    CNI_IFNAME: random.pick(['eth0', 'eth0', 'a/b', '..', 'x'.repeat(20)]),
    CNI_ARGS: random.pick(args),
    CNI_NETNS_OVERRIDE: random.pick(['', 'true', 'maybe']),
  };
  return Object.fromEntries(Object.entries(right).filter(() => !random.oneIn(12)));
}

/** The same value with here and there (one of `rarity`) another in its place, or its keys in another case. */
export function mutate(random: Random, value: unknown, rarity = 60): unknown {
  if (random.oneIn(rarity)) return random.pick(nasty);
  if (Array.isArray(value)) return value.map((each) => mutate(random, each, rarity));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [
    spelled(random, key),
    mutate(random, each, rarity),
  ]);
  return Object.fromEntries(entries);
}

const spelled = (random: Random, key: string): string =>
  random.oneIn(10) ? random.pick([key.toUpperCase(), key.toLowerCase(), '__proto__', `${key}x`]) : key;

/** Half of the keys gone, or options would contradict each other in nearly every call. */
const without = (random: Random, config: object): object =>
  Object.fromEntries(Object.entries(config).filter(([key]) => key === 'name' || random.oneIn(2)));

const asRecord = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

export function flipped(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length === 0) return copy;
  for (let i = random.below(4); i >= 0; i--) copy[random.below(copy.length)] = random.below(256);
  return copy;
}
