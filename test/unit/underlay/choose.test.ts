import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../../agent/config/read.ts';
import { AgentError } from '../../../agent/errors.ts';
import { chooseUnderlay, type Underlay, type UnderlayWish } from '../../../agent/underlay/choose.ts';
import { formatInterfaceAddress } from '../../../inet/cidr.ts';
import { formatIp, ip } from '../../../inet/ip.ts';
import { host } from './host.ts';

const nat = 'eth0 10.0.2.15/24 dynamic via 10.0.2.2 metric 100';
const vagrant = host(nat, 'eth1 192.168.188.101/24');
const twoDefaults = host(
  'eth0 172.31.0.9/20 via 172.31.0.1 metric 200',
  'eth1 192.168.1.9/24 via 192.168.1.1 metric 100',
);
const dualHost = host('eth0 192.168.1.9/24 fd00:1::9/64 fe80::9/64 via 192.168.1.1 via fe80::1');
const ipv6 = 'network6: fd00:10:244::/56\n';
const both = `network: 10.244.0.0/16\n${ipv6}`;
const etcdAt = (address: string) => `store: { type: etcd, endpoints: [http://${address}:2379] }\n`;

const bringsUp: [what: string, document: string, facts: typeof vagrant, chosen: string][] = [
  ["the default route's interface", '', host('eth0 192.168.1.9/24 via 192.168.1.1'), 'eth0 192.168.1.9/24'],
  ['the default route of the lowest metric', '', twoDefaults, 'eth1 192.168.1.9/24'],
  ['the interface towards the store', etcdAt('172.31.4.4'), twoDefaults, 'eth0 172.31.0.9/20'],
  [
    'the interface towards a store behind a router',
    etcdAt('10.9.9.9'),
    host('eth0 192.168.1.9/24 via 192.168.1.1', 'eth1 172.31.0.9/20 to 10.9.0.0/16'),
    'eth1 172.31.0.9/20',
  ],
  [
    'the default route where the store is on this host',
    etcdAt('192.168.1.9'),
    twoDefaults,
    'eth1 192.168.1.9/24',
  ],
  [
    'the default route where the store is on loopback',
    etcdAt('127.0.0.1'),
    twoDefaults,
    'eth1 192.168.1.9/24',
  ],
  ['the interface that has the public address', 'publicIP: 172.31.0.9', twoDefaults, 'eth0 172.31.0.9/20'],
  ['an interface by name', 'underlay: eth1', vagrant, 'eth1 192.168.188.101/24'],
  ['an interface by address', 'underlay: 192.168.188.101', vagrant, 'eth1 192.168.188.101/24'],
  ['an interface by network', 'underlay: 192.168.188.0/24', vagrant, 'eth1 192.168.188.101/24'],
  [
    'an interface by a wide network, not the NAT in it',
    'underlay: 0.0.0.0/0',
    vagrant,
    'eth1 192.168.188.101/24',
  ],
  [
    'an interface by a wide network, not the pods in it',
    'underlay: 10.0.0.0/8',
    host('cni0 10.244.3.1/24 kind bridge', 'eth0 10.1.0.5/24'),
    'eth0 10.1.0.5/24',
  ],
  ['an interface by a peer', 'underlay: { reach: 192.168.188.102 }', vagrant, 'eth1 192.168.188.101/24'],
  [
    'the first that will do of a list',
    'underlay: [eth7, auto, { reach: 192.168.188.102 }]',
    vagrant,
    'eth1 192.168.188.101/24',
  ],
  [
    'the address in the network, of several',
    'underlay: 172.16.0.0/16',
    host('eth0 192.168.1.9/24 172.16.5.5/24'),
    'eth0 172.16.5.5/24',
  ],
  [
    'the second address, if it is named',
    'underlay: 192.168.1.10',
    host('eth0 192.168.1.9/24 192.168.1.10/24'),
    'eth0 192.168.1.10/24',
  ],
  ["VirtualBox's NAT, if it is named", 'underlay: eth0', vagrant, 'eth0 10.0.2.15/24'],
  ["VirtualBox's NAT, if its address is named", 'underlay: 10.0.2.15', vagrant, 'eth0 10.0.2.15/24'],
  ["VirtualBox's NAT, if its network is named", 'underlay: 10.0.2.0/24', vagrant, 'eth0 10.0.2.15/24'],
  [
    'a network like the NAT with another gateway',
    '',
    host('eth0 10.0.2.15/24 via 10.0.2.1'),
    'eth0 10.0.2.15/24',
  ],
  [
    'a network like a second NAT, and another address',
    '',
    host('eth0 10.0.3.20/24 via 10.0.3.2'),
    'eth0 10.0.3.20/24',
  ],
  [
    'the next default route after the NAT',
    '',
    host(nat, 'eth1 192.168.1.9/24 via 192.168.1.1 metric 200'),
    'eth1 192.168.1.9/24',
  ],
  ['IPv6 alone', ipv6, dualHost, 'eth0 fd00:1::9/64'],
  ['both families', both, dualHost, 'eth0 192.168.1.9/24 fd00:1::9/64'],
  [
    'both families by the one interface that has them',
    both,
    host('eth0 192.168.1.9/24 via 192.168.1.1 metric 1', 'eth1 192.168.2.9/24 fd00:1::9/64 via fe80::1'),
    'eth1 192.168.2.9/24 fd00:1::9/64',
  ],
  [
    'an IPv6 address that stays',
    ipv6,
    host(
      'eth0 fd00:1::aaaa/64 dynamic temporary fd00:1::bbbb/64 dynamic fd00:1::cccc/64 dynamic deprecated via fe80::1',
    ),
    'eth0 fd00:1::bbbb/64',
  ],
  ['a cloud address without network', '', host('ens5 172.31.0.9/32 via 172.31.0.1'), 'ens5 172.31.0.9/32'],
  [
    'the underlay although pods run already',
    '',
    host(
      'eth0 192.168.1.9/24 via 192.168.1.1',
      'weft.1 10.244.3.0/32 kind vxlan',
      'cni0 10.244.3.1/24 kind bridge',
    ),
    'eth0 192.168.1.9/24',
  ],
];

const refusals: [what: string, document: string, facts: typeof vagrant, message: RegExp][] = [
  [
    "VirtualBox's NAT by default",
    '',
    vagrant,
    /^underlay: eth0 \(10\.0\.2\.15 behind 10\.0\.2\.2\) is VirtualBox's or qemu's user NAT, .*; name the network that the nodes share, for example underlay: 192\.168\.188\.0\/24 \(eth1\)$/,
  ],
  ['NAT towards the store', etcdAt('10.0.2.2'), vagrant, /user NAT/],
  ['NAT towards a peer', 'underlay: { reach: 8.8.8.8 }', vagrant, /user NAT/],
  ['NAT by a wide network', 'underlay: 10.0.0.0/8', vagrant, /user NAT/],
  [
    "VirtualBox's second NAT",
    '',
    host('eth0 10.0.3.15/24 via 10.0.3.2'),
    /user NAT.*; give this host an interface on a network/,
  ],
  [
    "qemu's NAT of IPv6",
    ipv6,
    host('eth0 fec0::5054:ff:fe12:3456/64 dynamic via fe80::2'),
    /eth0 \(fec0::5054:ff:fe12:3456 behind fe80::2\) is VirtualBox's or qemu's/,
  ],
  [
    'NAT whose default route has gone',
    'underlay: 10.0.0.0/8',
    host('eth0 10.0.2.15/24'),
    /eth0 \(10\.0\.2\.15\) is VirtualBox's/,
  ],
  [
    'an unknown interface',
    'underlay: eth7',
    vagrant,
    /^underlay: there is no interface eth7; this host has eth0 \(10\.0\.2\.15\/24\), eth1 \(192\.168\.188\.101\/24\)$/,
  ],
  [
    'an unknown address',
    'underlay: 192.168.188.7',
    vagrant,
    /no interface has the address 192\.168\.188\.7; this host has/,
  ],
  [
    'an unknown network',
    'underlay: 192.168.56.0/24',
    vagrant,
    /no interface has an address in 192\.168\.56\.0\/24; this host has/,
  ],
  [
    'a peer without route',
    'underlay: { reach: 8.8.8.8 }',
    host('eth1 192.168.188.101/24'),
    /there is no route to 8\.8\.8\.8; this host has/,
  ],
  ['a peer that is this host', 'underlay: { reach: 192.168.188.101 }', vagrant, /is this host's own address/],
  [
    'no default route',
    '',
    host('eth1 192.168.188.101/24'),
    /there is no default route by one interface, so name the underlay; this host has eth1/,
  ],
  [
    'no interface at all',
    '',
    host(),
    /this host has no interface with an address that others can reach: give it one/,
  ],
  [
    'a store without route',
    etcdAt('172.31.4.4'),
    host('eth1 192.168.188.101/24'),
    /there is no route to the store at 172\.31\.4\.4/,
  ],
  ['loopback', 'underlay: lo', vagrant, /lo reaches only this host; name the network/],
  ['a loopback address', 'underlay: 127.0.0.1', vagrant, /lo reaches only this host/],
  [
    "weft's own device",
    'underlay: weft.1',
    host('weft.1 10.244.3.0/32 kind vxlan', 'eth1 192.168.188.101/24'),
    /weft\.1 is weft's own device/,
  ],
  [
    "an unknown interface, and the pods' bridge is no suggestion",
    'underlay: eth7',
    host('cni0 10.244.3.1/24 kind bridge', 'weft.1 10.244.3.0/32 kind vxlan', 'eth1 192.168.188.101/24'),
    /there is no interface eth7; this host has eth1 \(192\.168\.188\.101\/24\)$/,
  ],
  [
    "NAT, and the pods' bridge is no remedy",
    '',
    host(nat, 'cni0 10.244.3.1/24 kind bridge'),
    /user NAT.*; give this host an interface on a network/,
  ],
  [
    'an interface that is down',
    'underlay: eth1',
    host('eth1 192.168.188.101/24 down'),
    /eth1 is down; put it up \(ip link set eth1 up\)/,
  ],
  [
    'link-local addresses only',
    'underlay: eth1',
    host('eth1 169.254.7.7/16 link'),
    /eth1 \(no address\) has no IPv4 address that others can reach, which network needs/,
  ],
  [
    'no address of the second family',
    `${both}underlay: eth1`,
    vagrant,
    /eth1 \(192\.168\.188\.101\/24\) has no IPv6 address that others can reach, which network6 needs/,
  ],
  [
    'an address under duplicate detection',
    `${ipv6}underlay: eth1`,
    host('eth1 fd00:1::9/64 tentative'),
    /fd00:1::9\/64 is not usable yet \(duplicate address detection in progress\)/,
  ],
  [
    'a list of which nothing will do',
    'underlay: [eth7, eth8]',
    vagrant,
    /no interface eth7;.*; there is no interface eth8;/,
  ],
];

describe('the underlay', () => {
  for (const [what, document, facts, chosen] of bringsUp) {
    it(`is ${what}`, () => {
      assert.equal(shown(choose(document, facts)), chosen);
    });
  }

  for (const [what, document, facts, message] of refusals) {
    it(`is refused, with the remedy: ${what}`, () => {
      assert.throws(
        () => choose(document, facts),
        (error: unknown) => {
          assert.ok(error instanceof AgentError && error.code === 'underlay', String(error));
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  it('has the MTU of its link', () => {
    const facts = host('eth0 192.168.1.9/24 mtu 9000 via 192.168.1.1');
    assert.equal(choose('', facts).mtuBytes, 9000);
  });

  it('is told to peers as the public address, where there is one', () => {
    const chosen = choose(`${both}publicIP: 203.0.113.7`, dualHost);
    assert.deepEqual(chosen.publicIps.map(formatIp), ['203.0.113.7', 'fd00:1::9']);
  });

  const overlaps: [what: string, document: string, facts: typeof vagrant, message: RegExp][] = [
    [
      'an address in it',
      '',
      host('eth0 10.244.0.5/24 via 10.244.0.1'),
      /^network: the cluster's network 10\.244\.0\.0\/16 overlaps with the nodes' own, 10\.244\.0\.5\/24 on eth0; choose another network$/,
    ],
    [
      'a network around it',
      '',
      host('eth0 10.1.0.5/8 via 10.1.0.1'),
      /overlaps with the nodes' own, 10\.1\.0\.5\/8/,
    ],
    [
      'IPv6',
      ipv6,
      host('eth0 fd00:10:244::5/64 via fe80::1'),
      /^network6: the cluster's network fd00:10:244::\/56 overlaps/,
    ],
  ];
  for (const [what, document, facts, message] of overlaps) {
    it(`may not share the cluster's network: ${what}`, () => {
      assert.throws(() => choose(document, facts), { code: 'overlap', message });
    });
  }

  const warned: [what: string, facts: typeof vagrant, warnings: RegExp[]][] = [
    ['nothing else', host('eth0 192.168.1.9/24 via 192.168.1.1'), []],
    [
      "the pods' own bridge",
      host('eth0 192.168.1.9/24 via 192.168.1.1', 'cni0 10.244.3.1/24 kind bridge'),
      [],
    ],
    [
      "Docker's bridge in the cluster's network",
      host('eth0 192.168.1.9/24 via 192.168.1.1', 'docker0 10.244.0.1/16 kind bridge'),
      [/docker0 has 10\.244\.0\.1\/16, which overlaps/],
    ],
    [
      'another interface in it',
      host('eth0 192.168.1.9/24 via 192.168.1.1', 'eth1 10.244.7.7/24'),
      [/eth1 has 10\.244\.7\.7\/24/],
    ],
  ];
  for (const [what, facts, warnings] of warned) {
    it(`comes with ${warnings.length} warnings beside ${what}`, () => {
      const found = choose('', facts).warnings;
      assert.equal(found.length, warnings.length, found.join('\n'));
      for (const [n, warning] of warnings.entries()) assert.match(found[n] ?? '', warning);
    });
  }

  it('comes with a warning where user NAT was named', () => {
    assert.match(choose('underlay: eth0', vagrant).warnings.join(), /looks like user NAT/);
  });
});

function choose(document: string, facts: typeof vagrant, wish: Partial<UnderlayWish> = {}): Underlay {
  const { underlay, networks, publicIps, store } = readConfig('', document);
  const hosts = store.type === 'etcd' ? store.endpoints.map(({ host: name }) => ip(name)) : [];
  return chooseUnderlay({ choices: underlay, networks, publicIps, storeAddresses: hosts, facts, ...wish });
}

describe('address that is announced', () => {
  const used = (...addresses: string[]) => ({ known: addresses.map(ip) });
  const eth0 = (...addresses: string[]) => host(`eth0 ${addresses.join(' ')} via 192.168.1.1`);
  const rows: [what: string, facts: typeof vagrant, wish: Partial<UnderlayWish>, chosen: string][] = [
    [
      'two equal ones, the second in use: stays',
      eth0('192.168.1.8/24', '192.168.1.9/24'),
      used('192.168.1.9'),
      '192.168.1.9/24',
    ],
    [
      'two equal ones, the first in use: stays',
      eth0('192.168.1.8/24', '192.168.1.9/24'),
      used('192.168.1.8'),
      '192.168.1.8/24',
    ],
    [
      'the one in use is gone: another one',
      eth0('192.168.1.8/24', '192.168.1.9/24'),
      used('192.168.1.7'),
      '192.168.1.8/24',
    ],
    [
      'DHCP address in use, a lasting floating /32 comes: stays',
      eth0('192.168.1.101/24 dynamic', '192.168.1.200/32'),
      used('192.168.1.101'),
      '192.168.1.101/24',
    ],
    [
      'DHCP address and a lasting floating /32, none in use: the one with a network',
      eth0('192.168.1.200/32', '192.168.1.101/24 dynamic'),
      {},
      '192.168.1.101/24',
    ],
    [
      'primary and secondary address, none in use: the primary one',
      eth0('192.168.1.200/24 secondary', '192.168.1.101/24 dynamic'),
      {},
      '192.168.1.101/24',
    ],
    [
      'the address of before comes back beside the one taken meanwhile: the one of before',
      eth0('192.168.1.200/24', '192.168.1.101/24 dynamic secondary'),
      used('192.168.1.101', '192.168.1.200'),
      '192.168.1.101/24',
    ],
    [
      'cloud /32 in use, a second network comes: stays',
      eth0('172.31.0.9/32', '192.168.1.9/24'),
      used('172.31.0.9'),
      '172.31.0.9/32',
    ],
    [
      'IPv6 SLAAC address in use, a floating /128 comes: stays',
      host('eth0 fd00:1::9/64 dynamic fd00:1::aaaa/128 via fe80::1'),
      { ...used('fd00:1::9'), networks: readConfig('', ipv6).networks },
      'fd00:1::9/64',
    ],
    [
      'an address of a living peer beside another: the other',
      eth0('192.168.1.200/24', '192.168.1.101/24 secondary'),
      { inUse: (address) => (formatIp(address) === '192.168.1.200' ? 'node-2' : undefined) },
      '192.168.1.101/24',
    ],
  ];
  for (const [what, facts, wish, chosen] of rows) {
    it(what, () => {
      assert.deepEqual(choose('', facts, wish).addresses.map(formatInterfaceAddress), [chosen]);
    });
  }

  for (const underlay of ['eth0', '192.168.1.0/24', '{ reach: 192.168.1.5 }', 'auto']) {
    it(`underlay: ${underlay}, a floating /32 beside the one in use: the one in use`, () => {
      const facts = eth0('192.168.1.200/32', '192.168.1.101/24 dynamic');
      const chosen = choose(`underlay: ${underlay}`, facts, used('192.168.1.101'));
      assert.equal(shown(chosen), 'eth0 192.168.1.101/24');
    });
  }

  it('only address is the one of a living peer: refused, the peer named', () => {
    assert.throws(() => choose('', eth0('192.168.1.200/32'), { inUse: () => 'node-2' }), {
      code: 'underlay',
      message:
        /eth0's address 192\.168\.1\.200\/32 is in use by the peer node-2: remove it from one of the two/,
    });
  });

  it('address named by the configuration, another in use: the named one', () => {
    const facts = eth0('192.168.1.8/24', '192.168.1.9/24');
    const chosen = choose('underlay: 192.168.1.9', facts, used('192.168.1.8'));
    assert.equal(shown(chosen), 'eth0 192.168.1.9/24');
  });

  it('IPv6 privacy address in use, a lasting one beside it: the lasting one', () => {
    const facts = host('eth0 fd00:1::aaaa/64 dynamic temporary fd00:1::bbbb/64 dynamic via fe80::1');
    assert.equal(shown(choose(ipv6, facts, used('fd00:1::aaaa'))), 'eth0 fd00:1::bbbb/64');
  });
});

describe('address that packets to peers are sent from', () => {
  const two = host('eth0 192.168.1.9/24 via 192.168.1.1', 'eth1 203.0.113.7/24');

  it('publicIP on another interface of the host: the public one', () => {
    const chosen = choose('underlay: eth0\npublicIP: 203.0.113.7', two);
    assert.equal(shown(chosen), 'eth0 192.168.1.9/24');
    assert.deepEqual(chosen.sources.map(formatIp), ['203.0.113.7']);
  });

  it('publicIP that a NAT in front of the host has: the interface has its own', () => {
    const chosen = choose('underlay: eth0\npublicIP: 198.51.100.7', two);
    assert.deepEqual(chosen.sources.map(formatIp), ['192.168.1.9']);
  });

  it('publicIP on loopback (anycast, BGP to the host): the public one', () => {
    const facts = host('eth0 192.168.1.9/24 via 192.168.1.1', 'dummy0 198.51.100.7/32');
    const chosen = choose('underlay: eth0\npublicIP: 198.51.100.7', facts);
    assert.deepEqual(chosen.sources.map(formatIp), ['198.51.100.7']);
  });
});

describe('interface of underlay: auto', () => {
  const two = host(
    'eth0 192.168.1.9/24 via 192.168.1.1 metric 100',
    'eth1 172.31.0.9/20 via 172.31.0.1 metric 50',
  );

  it('another default route becomes the preferred one: the interface in use stays', () => {
    const wish = { known: [ip('192.168.1.9')], stays: true };
    assert.equal(shown(choose('', two, wish)), 'eth0 192.168.1.9/24');
  });

  it('another configuration than the one that chose: the route decides', () => {
    assert.equal(shown(choose('', two, { known: [ip('192.168.1.9')] })), 'eth1 172.31.0.9/20');
  });

  it('name of the store unresolved, an address in use: it stays', () => {
    const wish = { known: [ip('192.168.1.9')], storeProblem: 'the name is unresolved' };
    assert.equal(
      shown(choose(etcdAt('172.31.4.4'), two, { ...wish, storeAddresses: [] })),
      'eth0 192.168.1.9/24',
    );
  });

  it('name of the store unresolved, no address in use: refused, never the default route', () => {
    const wish = { storeAddresses: [], storeProblem: 'the name is unresolved' };
    assert.throws(() => choose(etcdAt('172.31.4.4'), two, wish), { message: /the name is unresolved/ });
  });

  it('node that hosts the store on its second interface: that interface', () => {
    const hosting = host('eth0 192.168.1.9/24 via 192.168.1.1', 'eth1 172.31.0.9/20');
    assert.equal(shown(choose(etcdAt('172.31.0.9'), hosting)), 'eth1 172.31.0.9/20');
  });

  it('node that hosts the store under a floating address: the interface, with its own address', () => {
    const hosting = host('eth0 192.168.1.9/24 via 192.168.1.1', 'eth1 172.31.0.9/20 172.31.0.200/32');
    assert.equal(shown(choose(etcdAt('172.31.0.200'), hosting)), 'eth1 172.31.0.9/20');
  });

  it('the interface in use is down: the route decides', () => {
    const down = host('eth0 192.168.1.9/24 down via 192.168.1.1', 'eth1 172.31.0.9/20 via 172.31.0.1');
    const wish = { known: [ip('192.168.1.9')], stays: true };
    assert.equal(shown(choose('', down, wish)), 'eth1 172.31.0.9/20');
  });
});

const shown = ({ name, addresses }: Underlay): string =>
  [name, ...addresses.map(formatInterfaceAddress)].join(' ');
