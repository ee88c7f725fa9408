import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../agent/config/error.ts';
import { readConfig } from '../../../agent/config/read.ts';

const etcd = (rest: string) => `store: { type: etcd, endpoints: [https://192.168.188.100:2379]${rest} }`;

/** Each row: what is wrong, the document, and the lines that it gets. */
const refusals: [what: string, document: string, ...problems: string[]][] = [
  ['malformed YAML', 'network: [', 'weft.yaml:1:11: Flow sequence in block collection must be sufficiently'],
  ['a key that comes twice', 'runDir: /a\nrunDir: /b', 'weft.yaml:2:1: Map keys must be unique'],
  ['two documents', 'runDir: /a\n---\nrunDir: /b', 'weft.yaml:2:1: Source contains multiple documents'],
  ['an unknown tag', 'network: !cidr 10.0.0.0/8', 'weft.yaml:1:10: Unresolved tag: !cidr'],
  ['a list for the whole', '- a', 'weft.yaml:1:1: expected a mapping of keys to values, not a list'],
  [
    'an alias bomb',
    `a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [${'*a,'.repeat(20)}]\nc: [${'*b,'.repeat(20)}]`,
    'weft.yaml:1:1: failed to expand it: Excessive alias count',
  ],
  [
    'an unknown key',
    'runDir: /x\ncolour: red',
    'weft.yaml:2:1: colour: unknown key; remove it, or use one of network, network6',
  ],
  [
    "flannel's spelling",
    'Network: 10.1.0.0/16',
    'weft.yaml:1:1: Network: unknown key; did you mean network?',
  ],
  [
    "flannel's short name",
    'subnetLen: 24',
    'weft.yaml:1:1: subnetLen: unknown key; did you mean subnetLength?',
  ],
  [
    'a slip of the finger',
    'backend: { tpye: vxlan }',
    'weft.yaml:1:12: backend.tpye: unknown key; did you mean type?',
  ],
  [
    'a key of the other store',
    'store: { type: file, endpoints: [] }',
    'weft.yaml:1:22: store.endpoints: unknown key; remove it, or use one of type, path',
  ],
  [
    'an unknown key in a choice',
    'masquerade: { excpet: [10.0.0.0/8] }',
    'weft.yaml:1:13: masquerade.except: is missing; give a list of networks',
    'weft.yaml:1:15: masquerade.excpet: unknown key; did you mean except?',
  ],

  [
    'a network that is none',
    'network: 10.244.0.0',
    'weft.yaml:1:10: network: "10.244.0.0" is not a network; write ADDRESS/LENGTH',
  ],
  [
    'a network with host bits',
    'network: 10.244.1.5/16',
    'weft.yaml:1:10: network: 10.244.1.5/16 has bits set beyond /16; the network is 10.244.0.0/16',
  ],
  [
    'a network that is a number',
    'network: 10',
    'weft.yaml:1:10: network: expected a network such as 10.244.0.0/16, not 10',
  ],
  [
    'a network without value',
    'network:',
    'weft.yaml:1:9: network: expected a network such as 10.244.0.0/16, not null (remove the key for its default)',
  ],
  [
    'an IPv6 network in the wrong place',
    'network: fd00::/48',
    'weft.yaml:1:10: network: fd00::/48 is not IPv4; give it as network6',
  ],
  [
    'an IPv4 network in the wrong place',
    'network6: 10.0.0.0/8',
    'weft.yaml:1:11: network6: 10.0.0.0/8 is not IPv6; give it as network',
  ],
  [
    'a network too small for its subnets',
    'network: 10.244.0.0/24',
    'weft.yaml:1:10: network: 10.244.0.0/24 is too small for node subnets of /24; set subnetLength to 26 ... 30, or use a larger network',
  ],
  [
    'a subnet too large for its network',
    'subnetLength: 16',
    'weft.yaml:1:15: subnetLength: 10.244.0.0/16 is too small for node subnets of /16; set subnetLength to 18 ... 30',
  ],
  [
    'a subnet too small for pods',
    'subnetLength: 31',
    'weft.yaml:1:15: subnetLength: expected a whole number from 1 to 30, not 31',
  ],
  [
    'a network that is hardly one',
    'network: 10.0.0.0/30',
    'weft.yaml:1:10: network: 10.0.0.0/30 is too small; use /28 or larger',
  ],
  [
    'an IPv6 network too small',
    'network6: fd00::/64',
    'weft.yaml:1:11: network6: fd00::/64 is too small for node subnets of /64; set subnetLength6 to 66 ... 126',
  ],
  [
    'a loopback network',
    'network: 127.0.0.0/8',
    'weft.yaml:1:10: network: 127.0.0.0/8 has a loopback address in it; use a private network',
  ],
  ['everything as network', 'network: 0.0.0.0/0', 'weft.yaml:1:10: network: 0.0.0.0/0 has'],
  [
    'a subnet length without its network',
    'network6: fd00::/48\nsubnetLength: 24',
    'weft.yaml:2:1: subnetLength: has no effect without network',
  ],
  [
    'an IPv6 subnet length without its network',
    'subnetLength6: 64',
    'weft.yaml:1:1: subnetLength6: has no effect without network6',
  ],
  [
    'a fraction',
    'subnetLength: 24.5',
    'weft.yaml:1:15: subnetLength: expected a whole number from 1 to 30, not 24.5',
  ],

  [
    'an unknown backend',
    'backend: { type: udp }',
    'weft.yaml:1:18: backend.type: expected vxlan, direct, auto, not "udp"',
  ],
  [
    'a backend that is a word',
    'backend: vxlan',
    'weft.yaml:1:10: backend: expected a mapping of keys to values, not "vxlan"',
  ],
  [
    'a VNI of more than 24 bits',
    'backend: { vni: 16777216 }',
    'weft.yaml:1:17: backend.vni: expected a whole number from 1 to 16777215',
  ],
  [
    'a VNI too long for the IPv6 device',
    'network6: fd00::/48\nbackend: { vni: 10000000 }',
    'weft.yaml:2:17: backend.vni: weft-v6.10000000 is too long',
  ],
  [
    'a VNI that does nothing',
    'backend: { type: direct, vni: 2 }',
    'weft.yaml:1:26: backend.vni: has no effect with type direct',
  ],
  [
    'a port that does nothing',
    'backend: { type: direct, port: 2 }',
    'weft.yaml:1:26: backend.port: has no effect with type direct',
  ],
  [
    'an MTU of no kind',
    'backend: { mtu: big }',
    'weft.yaml:1:17: backend.mtu: expected auto or a number of bytes, not "big"',
  ],
  [
    'an MTU too small',
    'backend: { mtu: 100 }',
    'weft.yaml:1:17: backend.mtu: expected a whole number from 576 to 65535, not 100',
  ],
  [
    'an MTU too small for IPv6',
    'network6: fd00::/48\nbackend: { mtu: 1000 }',
    'weft.yaml:2:17: backend.mtu: 1000 is less than IPv6 allows; use 1280 or more',
  ],

  [
    'a Node name that cannot be one',
    'store: { type: kubernetes, nodeName: Node_1 }',
    `weft.yaml:1:38: store.nodeName: "Node_1" is not a Node's name; write it as kubectl get nodes shows it`,
  ],
  [
    'a prefix of annotations with two slashes',
    'store: { type: kubernetes, annotationPrefix: a.b/c/d }',
    'weft.yaml:1:46: store.annotationPrefix: "a.b/c/d" is not an annotation prefix; write a domain such as flannel.alpha.coreos.com',
  ],
  [
    'an unknown store',
    'store: { type: redis }',
    'weft.yaml:1:16: store.type: unsupported; supported: file, etcd, kubernetes',
  ],
  [
    'a store without type',
    'store: { path: /x }',
    'weft.yaml:1:8: store.type: unsupported; supported: file, etcd, kubernetes',
  ],
  [
    'a store that is a word',
    'store: etcd',
    'weft.yaml:1:8: store: expected { type: file, ... }, { type: etcd, ... } or { type: kubernetes, ... }, not "etcd"',
  ],
  [
    'a relative path',
    'store: { type: file, path: store }',
    'weft.yaml:1:28: store.path: "store" is not an absolute path; begin it with /',
  ],
  [
    'etcd without endpoints',
    'store: { type: etcd }',
    'weft.yaml:1:8: store.endpoints: is missing; give a list of URLs',
  ],
  [
    'etcd with no endpoint',
    'store: { type: etcd, endpoints: [] }',
    'weft.yaml:1:33: store.endpoints: is empty; name at least one',
  ],
  [
    'an endpoint without scheme',
    'store: { type: etcd, endpoints: [10.0.0.1:2379] }',
    'weft.yaml:1:34: store.endpoints[0]: "10.0.0.1:2379" does not begin with http:// or https://',
  ],
  [
    'an endpoint without port',
    'store: { type: etcd, endpoints: [http://etcd] }',
    'weft.yaml:1:34: store.endpoints[0]: "http://etcd" has no port',
  ],
  [
    'an endpoint with a path',
    'store: { type: etcd, endpoints: [http://etcd:1/v3] }',
    'weft.yaml:1:34: store.endpoints[0]: "http://etcd:1/v3" contains more than host and port',
  ],
  [
    'endpoints of two schemes',
    'store:\n  type: etcd\n  endpoints:\n    - http://a:1\n    - https://b:1',
    'weft.yaml:5:7: store.endpoints[1]: is not of the same scheme as the first',
  ],
  [
    'an endpoint twice',
    'store: { type: etcd, endpoints: [http://a:1, http://a:1] }',
    'weft.yaml:1:46: store.endpoints[1]: duplicate endpoint a:1',
  ],
  [
    'an authority without TLS',
    'store: { type: etcd, endpoints: [http://a:1], caFile: /ca.pem }',
    'weft.yaml:1:47: store.caFile: is not used with http:// endpoints; write the endpoints with https://',
  ],
  [
    'a certificate without key',
    etcd(', certFile: /c.pem'),
    'weft.yaml:1:65: store.certFile: requires keyFile',
  ],
  [
    'a key without certificate',
    etcd(', keyFile: /k.pem'),
    'weft.yaml:1:65: store.keyFile: requires certFile',
  ],
  [
    'a password without user',
    etcd(', passwordFile: /p'),
    'weft.yaml:1:65: store.passwordFile: requires username',
  ],
  [
    'a prefix without slash',
    etcd(', prefix: weft'),
    'weft.yaml:1:73: store.prefix: "weft" is not a key prefix',
  ],
  [
    'a TTL of no unit',
    etcd(', leaseTtl: 60'),
    'weft.yaml:1:75: store.leaseTtl: expected a duration such as 24h, not 60',
  ],
  [
    'a TTL of nothing',
    etcd(', leaseTtl: 1s'),
    'weft.yaml:1:75: store.leaseTtl: 1s is not between 30s and 2592000s',
  ],

  [
    'an underlay of no kind',
    'underlay: 7',
    'weft.yaml:1:11: underlay: expected auto, an interface, an address',
  ],
  [
    'an underlay that is no name',
    'underlay: the second interface',
    `weft.yaml:1:11: underlay: "the second interface" is not an interface name`,
  ],
  [
    'an underlay address that is none',
    'underlay: 192.168.188.300',
    'weft.yaml:1:11: underlay: "192.168.188.300" is not an IP address',
  ],
  [
    'an underlay network with host bits',
    'underlay: 192.168.188.1/24',
    'weft.yaml:1:11: underlay: 192.168.188.1/24 has bits set beyond /24; the network is 192.168.188.0/24',
  ],
  [
    'a reach that is no address',
    'underlay: { reach: gateway }',
    'weft.yaml:1:20: underlay.reach: "gateway" is not an IP address',
  ],
  [
    'a reach of oneself',
    'underlay: [eth1, { reach: 127.0.0.1 }]',
    'weft.yaml:1:27: underlay[1].reach: 127.0.0.1 is a loopback address',
  ],
  ['an empty list', 'underlay: []', 'weft.yaml:1:11: underlay: is empty; name at least one'],
  [
    'an underlay inside the cluster network',
    'underlay: [eth1, 10.244.3.0/24]',
    'weft.yaml:1:18: underlay[1]: 10.244.3.0/24 is inside the cluster network 10.244.0.0/16',
  ],
  [
    'a node address inside the cluster network',
    'underlay: 10.244.3.1',
    'weft.yaml:1:11: underlay: 10.244.3.1 is inside the cluster network 10.244.0.0/16',
  ],

  [
    'a public address inside the cluster network',
    'publicIP: 10.244.3.1',
    'weft.yaml:1:11: publicIP: 10.244.3.1 is inside the cluster network',
  ],
  [
    'a public address nobody reaches',
    'publicIP: 169.254.3.1',
    'weft.yaml:1:11: publicIP: 169.254.3.1 is a link-local address',
  ],
  [
    'two public addresses of a family',
    'publicIP: [1.1.1.1, 1.1.1.2]',
    'weft.yaml:1:21: publicIP[1]: 1.1.1.2: duplicate address family',
  ],
  [
    'a public address of an unused family',
    'publicIP: 2001:db8::1',
    'weft.yaml:1:11: publicIP: 2001:db8::1 has no effect without network6',
  ],
  [
    'a store inside the cluster network',
    'store: { type: etcd, endpoints: [http://10.244.0.1:2379] }',
    'weft.yaml:1:34: store.endpoints[0]: 10.244.0.1 is inside the cluster network',
  ],

  [
    'probes that may not be switched off',
    'backend: { type: auto }\nprobes: false',
    'weft.yaml:2:9: probes: backend type auto needs probes to choose the direct path; remove probes, or set type: vxlan',
  ],
  [
    'a threshold of none',
    'probes: { failureThreshold: 0 }',
    'weft.yaml:1:29: probes.failureThreshold: expected a whole number from 1 to 100, not 0',
  ],
  [
    'a masquerade of no kind',
    'masquerade: sometimes',
    'weft.yaml:1:13: masquerade: expected true, false or {except: [NETWORK, ...]}, not "sometimes"',
  ],
  [
    'an exception that is no network',
    'masquerade: { except: [10.0.0.0/8, 10.1.1.1] }',
    'weft.yaml:1:36: masquerade.except[1]: "10.1.1.1" is not a network',
  ],
  ['a port alone', 'listen: 9472', 'weft.yaml:1:9: listen: expected ADDRESS:PORT or off, not 9472'],
  [
    'a name to listen on',
    'listen: localhost:9472',
    'weft.yaml:1:9: listen: "localhost:9472" is not ADDRESS:PORT',
  ],
  [
    'an impossible port',
    'listen: 127.0.0.1:99999',
    'weft.yaml:1:9: listen: "127.0.0.1:99999" is not ADDRESS:PORT',
  ],
  [
    'an IPv6 address without brackets',
    'listen: ::1:9472',
    'weft.yaml:1:9: listen: "::1:9472" is not ADDRESS:PORT; write 127.0.0.1:9472, [::1]:9472, or off',
  ],
  [
    'identity kept where a reboot loses it',
    'stateDir: /run/weft/state',
    'weft.yaml:1:11: stateDir: /run/weft/state is inside runDir',
  ],
  [
    'an unknown level',
    'log: { level: loud }',
    'weft.yaml:1:15: log.level: expected trace, debug, info, warn, error, fatal, not "loud"',
  ],
  [
    'several things at once',
    'network: x\nbackend: { port: 0 }\nrunDir: run\n',
    'weft.yaml:1:10: network: "x" is not a network',
    'weft.yaml:2:18: backend.port: expected a whole number from 1 to 65535, not 0',
    'weft.yaml:3:9: runDir: "run" is not an absolute path',
  ],
];

describe('a configuration is refused, at its line and column and with the remedy, for', () => {
  for (const [what, document, ...expected] of refusals) {
    it(what, () => {
      const lines = problemsOf(document);
      assert.equal(lines.length, expected.length, lines.join('\n'));
      for (const [n, start] of expected.entries()) {
        const line = lines[n] ?? '';
        assert.equal(line.slice(0, start.length), start, line);
      }
    });
  }

  it('a secret in the URL, without repeating it', () => {
    const [line = ''] = problemsOf('store: { type: etcd, endpoints: [https://root:hunter2@etcd:2379] }');
    assert.match(line, /contains credentials; set username and passwordFile instead/);
    assert.doesNotMatch(line, /hunter2/);
  });

  it('a file that cannot be used', () => {
    const document = 'store: { type: etcd, endpoints: [https://a:1], caFile: /nowhere/ca.pem }';
    assert.throws(
      () => readConfig('weft.yaml', document, (path) => `${path} does not exist`),
      new ConfigError([
        {
          file: 'weft.yaml',
          line: 1,
          column: 56,
          field: 'store.caFile',
          text: '/nowhere/ca.pem does not exist; name a file that weftd can read',
        },
      ]),
    );
  });
});

function problemsOf(document: string): string[] {
  try {
    readConfig('weft.yaml', document);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}
