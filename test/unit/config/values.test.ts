import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Config } from '../../../agent/config/config.ts';
import { formatConfig } from '../../../agent/config/effective.ts';
import { jsonSchemaText } from '../../../agent/config/json-schema.ts';
import { configSource, defaultConfigPath, loadConfig } from '../../../agent/config/load.ts';
import { defaultConfig, readConfig } from '../../../agent/config/read.ts';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';

const defaults: Config = {
  networks: [{ cidr: cidr('10.244.0.0/16'), subnetLength: 24 }],
  backend: { type: 'vxlan', vni: 1, port: 8472, mtu: 'auto' },
  store: { type: 'file', path: '/var/lib/weft/store' },
  underlay: [{ kind: 'auto' }],
  publicIps: [],
  masquerade: { enabled: true, except: [] },
  unleased: 'unreachable',
  probes: { periodSeconds: 5, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1 },
  listen: { address: ip('127.0.0.1'), port: 9472 },
  metrics: { listen: undefined, perPeer: false },
  runDir: '/run/weft',
  stateDir: '/var/lib/weft',
  log: { level: 'info' },
};

const documentedDefaults = `
network: 10.244.0.0/16
subnetLength: 24
backend: { type: vxlan, vni: 1, port: 8472, mtu: auto }
store: { type: file, path: /var/lib/weft/store }
underlay: auto
publicIP: null
masquerade: true
probes: { period: 5s, timeout: 1s, failureThreshold: 3, successThreshold: 1 }
listen: 127.0.0.1:9472
metrics: { listen: off, perPeer: false }
runDir: /run/weft
stateDir: /var/lib/weft
log: { level: info }
`;

const etcdByTls = `store:
  type: etcd
  endpoints: [https://192.168.188.100:2379, 'https://[fd00::100]:443']
  caFile: /ca.pem
  certFile: /c.pem
  keyFile: /k.pem
  username: weft
  passwordFile: /p
  leaseTtl: 10m
  peerGrace: 0s`;

/** Each row: a document, and in which fields what it means differs from the defaults. */
const meanings: [what: string, document: string, meaning: Partial<Config>][] = [
  ['an empty file', '', {}],
  ['no probes', 'probes: false', { probes: undefined }],
  [
    'rarer probes',
    'probes: { period: 1m, failureThreshold: 2 }',
    { probes: { periodSeconds: 60, timeoutSeconds: 1, failureThreshold: 2, successThreshold: 1 } },
  ],
  ['only comments', '# nothing yet\n', {}],
  ['every default written out', documentedDefaults, {}],
  ['another network', 'network: 10.0.0.0/8', { networks: [{ cidr: cidr('10.0.0.0/8'), subnetLength: 24 }] }],
  [
    'IPv6 alone',
    'network6: fd00:10:244::/56',
    { networks: [{ cidr: cidr('fd00:10:244::/56'), subnetLength: 64 }] },
  ],
  [
    'both families',
    'network: 10.1.0.0/20\nsubnetLength: 26\nnetwork6: fd00::/48\nsubnetLength6: 80',
    {
      networks: [
        { cidr: cidr('10.1.0.0/20'), subnetLength: 26 },
        { cidr: cidr('fd00::/48'), subnetLength: 80 },
      ],
    },
  ],
  [
    'direct routing',
    'backend: { type: direct, mtu: 9000 }',
    { backend: { type: 'direct', vni: 1, port: 8472, mtu: 9000 } },
  ],
  [
    'etcd in the clear',
    'store: { type: etcd, endpoints: ["http://etcd:2379/"] }',
    {
      store: {
        type: 'etcd',
        endpoints: [{ secure: false, host: 'etcd', port: 2379 }],
        prefix: '/coreos.com/network',
        tls: undefined,
        login: undefined,
        leaseTtlSeconds: 86_400,
        peerGraceSeconds: 10,
      },
    },
  ],
  [
    'etcd by TLS, with all that it has',
    etcdByTls,
    {
      store: {
        type: 'etcd',
        endpoints: [
          { secure: true, host: '192.168.188.100', port: 2379 },
          { secure: true, host: 'fd00::100', port: 443 },
        ],
        prefix: '/coreos.com/network',
        tls: { caFile: '/ca.pem', client: { certFile: '/c.pem', keyFile: '/k.pem' } },
        login: { username: 'weft', passwordFile: '/p' },
        leaseTtlSeconds: 600,
        peerGraceSeconds: 0,
      },
    },
  ],
  [
    'a folder with a slash at its end',
    'store: { type: file, path: /srv//weft/ }',
    { store: { type: 'file', path: '/srv/weft' } },
  ],
  [
    'an underlay in every way',
    'underlay: [eth1, 192.168.188.101, 192.168.188.0/24, fd00:1::/64, { reach: 192.168.188.1 }, auto]',
    {
      underlay: [
        { kind: 'interface', name: 'eth1' },
        { kind: 'address', address: ip('192.168.188.101') },
        { kind: 'network', network: cidr('192.168.188.0/24') },
        { kind: 'network', network: cidr('fd00:1::/64') },
        { kind: 'reach', address: ip('192.168.188.1') },
        { kind: 'auto' },
      ],
    },
  ],
  [
    'an interface of odd name',
    'underlay: enp0s8.100@x',
    { underlay: [{ kind: 'interface', name: 'enp0s8.100@x' }] },
  ],
  ['a public address', 'publicIP: 203.0.113.7', { publicIps: [ip('203.0.113.7')] }],
  [
    'a public address per family',
    'network: 10.244.0.0/16\nnetwork6: fd00::/48\npublicIP: [203.0.113.7, 2001:db8::7]',
    {
      networks: [
        { cidr: cidr('10.244.0.0/16'), subnetLength: 24 },
        { cidr: cidr('fd00::/48'), subnetLength: 64 },
      ],
      publicIps: [ip('203.0.113.7'), ip('2001:db8::7')],
    },
  ],
  ['no masquerade', 'masquerade: false', { masquerade: { enabled: false, except: [] } }],
  [
    'masquerade with exceptions',
    'masquerade: { except: [10.0.0.0/8] }',
    { masquerade: { enabled: true, except: [cidr('10.0.0.0/8')] } },
  ],
  ['nothing to listen on', 'listen: off', { listen: undefined }],
  ['health for all', "listen: '[::]:9472'", { listen: { address: ip('::'), port: 9472 } }],
  [
    'an alias',
    'runDir: &d /srv/run\nstore: { type: file, path: *d }',
    { runDir: '/srv/run', store: { type: 'file', path: '/srv/run' } },
  ],
];

describe('configuration', () => {
  for (const [what, document, meaning] of meanings) {
    it(`${what}: read as written, and equal after it is printed and read again`, () => {
      const config = readConfig('weft.yaml', document);
      assert.deepEqual(config, { ...defaults, ...meaning });
      assert.deepEqual(readConfig('printed', formatConfig(config)), config);
    });
  }

  it('frozen: cannot be changed', () => {
    const config = defaultConfig() as { log: { level: string } };
    assert.throws(() => {
      config.log.level = 'trace';
    }, TypeError);
  });

  it('docs/config.schema.json: is what `npm run schema` writes', () => {
    assert.equal(readFileSync('docs/config.schema.json', 'utf8'), jsonSchemaText());
  });
});

describe('configuration file', () => {
  const rows: [
    what: string,
    flag: string | undefined,
    env: string | undefined,
    path: string,
    named: boolean,
  ][] = [
    ['nothing said', undefined, undefined, defaultConfigPath, false],
    ['an empty variable', undefined, '', defaultConfigPath, false],
    ['the variable', undefined, '/env.yaml', '/env.yaml', true],
    ['the flag', '/flag.yaml', undefined, '/flag.yaml', true],
    ['both: the flag', '/flag.yaml', '/env.yaml', '/flag.yaml', true],
  ];
  for (const [what, flag, env, path, named] of rows) {
    it(`named by ${what}: ${path}`, () => {
      assert.deepEqual(configSource({ flag, env: { WEFT_CONFIG: env } }), { path, named });
    });
  }

  it('default file absent: all defaults', (t) => {
    const path = join(folder(t), 'weft.yaml');
    assert.deepEqual(loadConfig({ path, named: false }), { config: defaults, path: undefined });
  });

  it('file present: its path and content', (t) => {
    const path = join(folder(t), 'weft.yaml');
    writeFileSync(path, '\ufeffrunDir: /srv/run\n');
    assert.deepEqual(loadConfig({ path, named: true }), {
      config: { ...defaults, runDir: '/srv/run' },
      path,
    });
  });

  const unusable: [what: string, make: (folder: string) => string, message: RegExp][] = [
    ['named and missing', (dir) => join(dir, 'x.yaml'), /x\.yaml: does not exist; create it/],
    ['a folder', (dir) => dir, /: is a directory; name the file in it$/],
    [
      'no UTF-8',
      (dir) => {
        writeFileSync(join(dir, 'latin1'), Buffer.from('runDir: /stra\xdfe', 'latin1'));
        return join(dir, 'latin1');
      },
      /latin1: is not UTF-8; save it as UTF-8$/,
    ],
    [
      'naming a certificate that is not there',
      (dir) => {
        writeFileSync(
          join(dir, 'tls'),
          'store: { type: etcd, endpoints: [https://a:1], caFile: /nowhere/ca.pem }',
        );
        return join(dir, 'tls');
      },
      /tls:1:56: store\.caFile: \/nowhere\/ca\.pem does not exist; name a file that weftd can read$/,
    ],
  ];
  for (const [what, make, message] of unusable) {
    it(`file is ${what}: refused`, (t) => {
      assert.throws(() => loadConfig({ path: make(folder(t)), named: true }), message);
    });
  }
});

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-config-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}
