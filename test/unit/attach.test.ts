/** The pure parts of plugin/attach: names, records, what is to be made, the subnet file. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, formatCidr, parseInterfaceAddress } from '../../inet/cidr.ts';
import { formatIp, ip } from '../../inet/ip.ts';
import { type Attachment, decodeAttachment, encodeAttachment } from '../../plugin/attach/attachment.ts';
import { type NodeSubnets, parseSubnetFile } from '../../plugin/attach/lease.ts';
import { aliasOf, aliasPrefix, namesOf } from '../../plugin/attach/names.ts';
import { gatewaysOf, kernelRoute, planOf, resultRoutes } from '../../plugin/attach/plan.ts';
import { decodeInput } from '../../plugin/protocol/input.ts';
import type { NetworkConfig } from '../../plugin/protocol/network.ts';
import { decodeNetwork } from '../../plugin/protocol/network-decode.ts';

const interfaceAddress = (text: string) => {
  const parsed = parseInterfaceAddress(text);
  assert.ok(parsed);
  return parsed;
};

const attachment: Attachment = {
  network: 'weft',
  containerId: 'c1',
  ifname: 'eth0',
  phase: 'complete',
  bootId: 'b',
  since: '2026-01-01T00:00:00.000Z',
  netns: '/run/netns/c1',
  netnsId: '4:1',
  bridge: 'cni0',
  host: { name: 'veth1', index: 7, mac: '02:00:00:00:00:01' },
  container: { index: 8, mac: '02:00:00:00:00:02' },
  mtuBytes: 1450,
  hairpin: true,
  isolated: false,
  addresses: [
    { ...interfaceAddress('10.244.1.2/24'), gateway: ip('10.244.1.1') },
    { ...interfaceAddress('fd00::2/64'), gateway: ip('fd00::1') },
  ],
  hostLocalDir: '/var/lib/cni/networks',
  masquerade: false,
  spoofCheck: { mac: true, address: true },
  hostPorts: [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: ip('127.0.0.1') },
    { hostPort: 53, containerPort: 53, protocol: 'udp', hostIp: undefined },
  ],
  bandwidth: { ingress: { bitsPerSecond: 1e6, burstBits: 4294967295 }, egress: undefined },
  pod: { namespace: 'default', name: 'web' },
};
/** JSON has no undefined. */
const asStored = (value: Attachment | undefined): unknown => value && JSON.parse(encodeAttachment(value));

describe('a record', () => {
  it('says after a restart what it said before', () => {
    const read = decodeAttachment(encodeAttachment(attachment));
    assert.deepEqual(asStored(read), asStored(attachment));
    assert.deepEqual(read?.addresses, attachment.addresses);
    assert.deepEqual(read?.hostPorts, attachment.hostPorts);
  });

  it('is its last whole line', () => {
    const intent = encodeAttachment({ ...attachment, phase: 'intent', addresses: [] });
    const complete = encodeAttachment(attachment);
    assert.equal(decodeAttachment(intent + complete)?.phase, 'complete');
    for (let cut = 1; cut < complete.length - 1; cut += 7) {
      assert.equal(decodeAttachment(intent + complete.slice(0, -1 - cut))?.phase, 'intent', `cut by ${cut}`);
    }
  });

  for (const [what, text] of [
    ['nothing', ''],
    ['no JSON', '\u0000\u0000\u0000\n'],
    ['JSON of another shape', '[]\n'],
    ['a line cut short', encodeAttachment(attachment).slice(0, 100)],
    ['another version', '{"version":2}\n'],
    ['addresses that are none', encodeAttachment(attachment).replace('10.244.1.2/24', '10.244.1.2')],
  ] as const) {
    it(`that holds ${what} says nothing`, () => assert.equal(decodeAttachment(text), undefined));
  }
});

describe('names', () => {
  const key = { network: 'weft', containerId: 'c1', ifname: 'eth0' };

  it('follow from the key alone, and differ with each part of it', () => {
    assert.deepEqual(namesOf(key), namesOf({ ...key }));
    const others = [
      { ...key, network: 'weft2' },
      { ...key, containerId: 'c2' },
      { ...key, ifname: 'eth1' },
      { network: 'weft', containerId: 'c', ifname: '1eth0' },
    ];
    const all = [key, ...others].map(namesOf);
    for (const field of ['file', 'hostInterface', 'hostMac', 'containerMac'] as const) {
      assert.equal(new Set(all.map((names) => names[field])).size, all.length, field);
    }
  });

  it('fit where they have to, whatever the length of what they name', () => {
    const long = { network: 'n'.repeat(500), containerId: 'c'.repeat(500), ifname: 'i'.repeat(15) };
    const names = namesOf(long);
    assert.equal(names.hostInterface.length, 15);
    assert.ok(names.file.length < 100);
    assert.ok(aliasOf(long).length <= 255);
    assert.ok(aliasOf(long).startsWith(aliasPrefix(long.network)));
    assert.notEqual(aliasPrefix('n'.repeat(500)), aliasPrefix('n'.repeat(501)));
    assert.equal(aliasOf(key), 'weft:weft/c1/eth0');
  });

  it('are local unicast MACs', () => {
    for (const mac of [namesOf(key).hostMac, namesOf(key).containerMac]) {
      assert.equal(Number.parseInt(mac.slice(0, 2), 16) & 3, 2);
    }
  });
});

const lease: NodeSubnets = parseSubnetFile(
  'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_NETWORK=fd00::/48\n' +
    'FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  '/run/weft/subnet.env',
);

describe('the subnet file', () => {
  it('names the node’s subnets, their gateways and the MTU', () => {
    assert.equal(lease.mtuBytes, 1450);
    assert.deepEqual(
      lease.subnets.map(({ subnet, gateway, network }) => [
        formatCidr(subnet),
        formatIp(gateway),
        formatCidr(network),
      ]),
      [
        ['10.244.1.0/24', '10.244.1.1', '10.244.0.0/16'],
        ['fd00:0:0:1::/64', 'fd00:0:0:1::1', 'fd00::/48'],
      ],
    );
  });

  it('may name the network instead of the gateway', () => {
    const { subnets } = parseSubnetFile(
      'FLANNEL_NETWORK=10.2.0.0/16\nFLANNEL_SUBNET=10.2.9.0/24\nFLANNEL_MTU=1500\n',
      'x',
    );
    assert.deepEqual(subnets[0]?.gateway, ip('10.2.9.1'));
  });
});

function config(more: object): NetworkConfig {
  const stdin = Buffer.from(JSON.stringify({ cniVersion: '1.1.0', name: 'weft', type: 'weft', ...more }));
  return decodeNetwork({ ...decodeInput(stdin), version: '1.1.0' }, {});
}

describe('what is to be made', () => {
  const ranges = { type: 'host-local', subnet: '10.9.0.0/24' };

  for (const [says, more, expected] of [
    ['takes the MTU of the lease', {}, { mtuBytes: 1450, bridgeMtuBytes: 1450 }],
    ['prefers the configuration’s MTU', { mtu: 1300 }, { mtuBytes: 1300, bridgeMtuBytes: 1300 }],
    ['has Linux’s MTU without either', { ipam: ranges }, { mtuBytes: 1500, bridgeMtuBytes: undefined }],
  ] as const) {
    it(says, () => {
      const network = config(more);
      const { mtuBytes, bridgeMtuBytes } = planOf(
        network,
        network.addressing.kind === 'lease' ? lease : undefined,
      );
      assert.deepEqual({ mtuBytes, bridgeMtuBytes }, expected);
    });
  }

  it('puts each range’s gateway on the bridge, if it is to be a gateway', () => {
    const gateways = (network: NetworkConfig) =>
      gatewaysOf(planOf(network, lease).sets, network).map(
        ({ address, length }) => `${formatIp(address)}/${length}`,
      );
    assert.deepEqual(gateways(config({})), ['10.244.1.1/24', 'fd00:0:0:1::1/64']);
    assert.deepEqual(gateways(config({ ipam: ranges })), []);
    assert.deepEqual(gateways(config({ ipam: { ...ranges, gateway: '10.9.0.7' }, isGateway: true })), [
      '10.9.0.7/24',
    ]);
  });

  const addresses = [{ ...interfaceAddress('10.9.0.2/24'), gateway: ip('10.9.0.1') }];
  for (const [says, more, expected] of [
    ['leads everywhere by the gateway', { isDefaultGateway: true }, ['0.0.0.0/0 10.9.0.1']],
    ['leads nowhere else unless told so', {}, []],
    [
      'keeps a default route that is listed with a next hop',
      { isDefaultGateway: true, routes: [{ dst: '0.0.0.0/0', gw: '10.9.0.9' }] },
      ['0.0.0.0/0 10.9.0.9'],
    ],
    [
      'gives a default route that is listed without one the gateway',
      { isDefaultGateway: true, routes: [{ dst: '0.0.0.0/0' }] },
      ['0.0.0.0/0 10.9.0.1'],
    ],
    ['lists the rest as it is', { routes: [{ dst: '10.8.0.0/16' }] }, ['10.8.0.0/16 -']],
  ] as const) {
    it(says, () => {
      const { routes, ...options } = { routes: [], ...more };
      const network = config({ ...options, ipam: { ...ranges, routes } });
      assert.deepEqual(
        resultRoutes(network, { addresses, lease: undefined }).map(
          ({ dst, gw }) => `${formatCidr(dst)} ${gw ? formatIp(gw) : '-'}`,
        ),
        expected,
      );
    });
  }

  it('sends a route without a next hop by the gateway of its family, or onto the link', () => {
    const pod = { index: 8, addresses };
    assert.deepEqual(kernelRoute({ dst: cidr('10.8.0.0/16') }, pod).gateway, ip('10.9.0.1'));
    assert.equal(kernelRoute({ dst: cidr('fd08::/64') }, pod).gateway, undefined);
    assert.deepEqual(kernelRoute({ dst: cidr('10.8.0.0/16'), scope: 200 }, pod).gateway, ip('10.9.0.1'));
    assert.equal(kernelRoute({ dst: cidr('10.8.0.0/16'), scope: 253 }, pod).gateway, undefined);
  });
});
