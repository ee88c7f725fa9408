/** What a writer of the store can make this node program, and what is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeValue } from '../../../agent/lease/flannel/value.ts';
import type { Lease, LeaseAttributes } from '../../../agent/lease/lease.ts';
import { encodeNode } from '../../../agent/lease/view/node-record.ts';
import { noPeers, type PeerRules, peersOf } from '../../../agent/lease/view/peers.ts';
import { ClusterView } from '../../../agent/lease/view/view.ts';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import { attributes, network } from './builders.ts';

const ownMac = '02:00:00:00:00:01';
const rules: PeerRules = {
  networks: [network],
  oneLength: true,
  own: '10.244.1.0-24',
  ownSubnets: [cidr('10.244.1.0/24')],
  ownIps: [ip('192.168.188.101')],
  ownMacs: [ownMac],
  before: new Map(),
};

function viewOf(records: Record<string, string>, complete = true): ClusterView {
  const view = new ClusterView();
  const all = Object.entries(records).map(([key, value], n) => ({
    key,
    value,
    version: `${n}`,
    session: 's',
  }));
  if (complete) view.apply({ type: 'list', records: all, cursor: '1' });
  else view.apply({ type: 'events', events: all.map((record) => ({ type: 'put', record })), cursor: '1' });
  return view;
}

const peer = (publicIp: string, vtepMac = '02:00:00:00:00:02'): string =>
  encodeValue(attributes(publicIp, vtepMac));
const good = peer('192.168.188.102');

function reasonFor(value: string, key = '10.244.2.0-24', changes: Partial<PeerRules> = {}): string {
  const { leases, problems } = peersOf(viewOf({ [`subnets/${key}`]: value }), { ...rules, ...changes });
  assert.deepEqual([...leases.keys()], [], 'it is left out');
  assert.deepEqual(
    problems.map((problem) => problem.key),
    [`subnets/${key}`],
  );
  return problems[0]?.reason ?? '';
}

test('peer record in order: peer is programmed, nothing is reported', () => {
  const peers = peersOf(viewOf({ 'subnets/10.244.2.0-24': good }), rules);
  assert.deepEqual([...peers.leases.keys()], ['10.244.2.0-24']);
  assert.deepEqual(peers.problems, []);
});

for (const [address, reason] of [
  ['10.244.7.9', /10\.244\.7\.9 is inside the pod network/],
  ['10.244.2.1', /10\.244\.2\.1 is inside the pod network/],
  ['127.0.0.1', /a loopback address/],
  ['169.254.1.1', /a link-local address/],
  ['224.0.0.5', /a multicast address/],
  ['239.1.1.1', /a multicast address/],
  ['240.0.0.1', /a reserved address/],
  ['255.255.255.255', /a broadcast address/],
  ['0.1.2.3', /a this-network address/],
  ['192.168.188.101', /is ours/],
] as const) {
  test(`peer with public IP ${address}: left out with the reason`, () => {
    assert.match(reasonFor(peer(address)), reason);
  });
}

for (const [address, reason] of [
  ['::1', /a loopback address/],
  ['fe80::1', /a link-local address/],
  ['ff02::1', /a multicast address/],
  ['::ffff:127.0.0.1', /an? IPv4-mapped address/],
  ['fd00:244::7', /inside the pod network/],
] as const) {
  test(`peer with public IPv6 ${address}: left out with the reason`, () => {
    const value = encodeValue({ publicIps: [ip(address)], backend: { type: 'host-gw' } });
    const networks = [network, { cidr: cidr('fd00:244::/56'), subnetLength: 64 }];
    assert.match(reasonFor(value, '10.244.2.0-24', { networks }), reason);
  });
}

for (const [key, reason] of [
  ['10.244.64.0-18', /is a \/18, and the cluster's nodes hold a \/24: it is left out/],
  ['10.244.0.0-16', /overlaps our own/],
  ['10.244.9.0-25', /is a \/25/],
  ['10.244.9.9-32', /is a \/32/],
  ['10.244.1.128-25', /overlaps our own/],
  ['10.245.0.0-24', /outside the cluster's network/],
] as const) {
  test(`peer with subnet ${key}: left out with the reason`, () => assert.match(reasonFor(good, key), reason));
}

for (const [mac, reason] of [
  ['00:00:00:00:00:00', /VtepMAC 00:00:00:00:00:00 is not the address of one device/],
  ['01:00:5e:00:00:01', /VtepMAC 01:00:5e:00:00:01 is not the address of one device/],
  ['ff:ff:ff:ff:ff:ff', /is not the address of one device/],
  ['33:33:00:00:00:01', /is not the address of one device/],
  [ownMac, /VTEP MAC 02:00:00:00:00:01 is ours/],
] as const) {
  test(`peer with VTEP MAC ${mac}: left out with the reason`, () => {
    assert.match(reasonFor(peer('192.168.188.102', mac)), reason);
  });
}

test("peer with our MAC for IPv6 only: left out, as for IPv4's", () => {
  const value = encodeValue({
    publicIps: [ip('192.168.188.102')],
    backend: { type: 'vxlan', vni: 1, vtepMac: '02:00:00:00:00:02', vtepMac6: ownMac },
  });
  assert.match(reasonFor(value), /is ours/);
});

test('BackendType with control characters: it is not the name of a backend', () => {
  assert.match(
    reasonFor('{"PublicIP":"192.168.188.102","BackendType":"\\u001b[2J"}'),
    /BackendType is not the name/,
  );
});

const before = (changes: Partial<Lease> = {}): ReadonlyMap<string, Lease> => {
  const lease = {
    key: '10.244.2.0-24',
    subnets: [cidr('10.244.2.0/24')],
    ...attributesOf('192.168.188.102'),
  };
  return new Map([[lease.key, { ...lease, ...changes }]]);
};
const attributesOf = (publicIp: string): LeaseAttributes => attributes(publicIp, '02:00:00:00:00:02');

for (const [what, value] of [
  ['garbage', 'x'],
  ['a public IP inside the pod network', peer('10.244.7.9')],
  ['our public IP', peer('192.168.188.101')],
  ['our VTEP MAC', peer('192.168.188.102', ownMac)],
  ['a multicast VTEP MAC', peer('192.168.188.102', '01:00:5e:00:00:01')],
  ['an endless value', 'x'.repeat(20_000)],
] as const) {
  test(`known peer, its record becomes ${what}: it keeps the meaning it had, and the key is reported`, () => {
    const known = before();
    const peers = peersOf(viewOf({ 'subnets/10.244.2.0-24': value }), { ...rules, before: known });
    assert.equal(peers.leases.get('10.244.2.0-24'), known.get('10.244.2.0-24'), 'the same object');
    assert.deepEqual(
      peers.problems.map(({ key }) => key),
      ['subnets/10.244.2.0-24'],
    );
  });
}

test('known peer, this node takes its public IP: what it said before is harmful too, so it is left out', () => {
  const ownIps = [ip('192.168.188.102')];
  const peers = peersOf(viewOf({ 'subnets/10.244.2.0-24': good }), { ...rules, ownIps, before: before() });
  assert.deepEqual([...peers.leases.keys()], []);
});

test('known peer, its node record is gone: the name goes, the peer stays', () => {
  const known = before({ nodeName: 'node-2' });
  const peers = peersOf(viewOf({ 'subnets/10.244.2.0-24': good }), { ...rules, before: known });
  assert.deepEqual(peers.leases.get('10.244.2.0-24'), before().get('10.244.2.0-24'));
});

test('known peer of another length than a changed configuration: it stays, and the difference is reported', () => {
  const networks = [{ ...network, subnetLength: 25 }];
  const peers = peersOf(viewOf({ 'subnets/10.244.2.0-24': good }), { ...rules, networks, before: before() });
  assert.deepEqual([...peers.leases.keys()], ['10.244.2.0-24']);
  assert.match(
    peers.problems[0]?.reason ?? '',
    /is a \/24, .* hold a \/25: it stays, because it was known before/,
  );
});

test('newcomer overlaps a known peer: the known one stays', () => {
  const half = encodeValue({ publicIps: [ip('192.168.188.9')], backend: { type: 'host-gw' } });
  const networks = [{ ...network, subnetLength: 25 }];
  const records = { 'subnets/10.244.2.0-25': half, 'subnets/10.244.2.0-24': good };
  const peers = peersOf(viewOf(records), { ...rules, networks, before: before() });
  assert.deepEqual([...peers.leases.keys()], ['10.244.2.0-24']);
  assert.match(
    peers.problems.map(({ reason }) => reason).join(),
    /overlaps 10\.244\.2\.0-24, which was there before/,
  );
});

test('newcomer has the VTEP MAC of a known peer: the known one stays, whichever is listed first', () => {
  const records = { 'subnets/10.244.3.0-24': peer('192.168.188.9'), 'subnets/10.244.2.0-24': good };
  for (const order of [records, Object.fromEntries(Object.entries(records).reverse())]) {
    const peers = peersOf(viewOf(order), { ...rules, before: before() });
    assert.deepEqual([...peers.leases.keys()], ['10.244.2.0-24']);
    assert.match(peers.problems[0]?.reason ?? '', /VTEP MAC 02:00:00:00:00:02 is 10\.244\.2\.0-24's/);
  }
});

test('known peer takes the VTEP MAC of another known peer: both keep what they had', () => {
  const other = before({
    key: '10.244.3.0-24',
    subnets: [cidr('10.244.3.0/24')],
    ...attributes('192.168.188.103', '02:00:00:00:00:03'),
  });
  const known = new Map(
    [...other].map(([, lease]) => [lease.key, lease]).concat([...before()]) as [string, Lease][],
  );
  const records = { 'subnets/10.244.3.0-24': peer('192.168.188.103'), 'subnets/10.244.2.0-24': good };
  const peers = peersOf(viewOf(records), { ...rules, before: known });
  assert.deepEqual(Object.fromEntries(peers.leases), Object.fromEntries(known));
  assert.deepEqual(
    peers.problems.map(({ key }) => key),
    ['subnets/10.244.3.0-24'],
  );
});

test('two peers with one public IP: both stay, and the second is reported', () => {
  const records = {
    'subnets/10.244.2.0-24': good,
    'subnets/10.244.3.0-24': peer('192.168.188.102', '02:00:00:00:00:03'),
  };
  const peers = peersOf(viewOf(records), rules);
  assert.deepEqual([...peers.leases.keys()], ['10.244.2.0-24', '10.244.3.0-24']);
  assert.match(peers.problems[0]?.reason ?? '', /public IP 192\.168\.188\.102 is also 10\.244\.2\.0-24's/);
});

test('node names: only host names are taken', () => {
  for (const [name, shown] of [
    ['node-1.example', 'node-1.example'],
    ['\u001b[2J\u001b[31mowned', undefined],
    ['a\u202eb', undefined],
    ['', undefined],
    ['../../etc', undefined],
    ['x'.repeat(254), undefined],
  ] as const) {
    const record = { id: 'n2', name, subnet: '10.244.2.0-24', boot: 'b', run: 'r', renewSeconds: 10 };
    const view = viewOf({ 'subnets/10.244.2.0-24': good, 'weft/nodes/n2': encodeNode(record) });
    assert.equal(peersOf(view, rules).leases.get('10.244.2.0-24')?.nodeName, shown);
  }
});

test('20 000 stray keys: a bounded number is reported, with how many there are and what to do', () => {
  const records: Record<string, string> = { 'subnets/10.244.2.0-24': good };
  for (let n = 0; n < 20_000; n++) records[`subnets/stray-${n}-\u001b[2J`] = 'x';
  const { leases, problems } = peersOf(viewOf(records), rules);
  assert.equal(leases.size, 1);
  assert.equal(problems.length, 17);
  assert.equal(problems[0]?.key, 'subnets/stray-0-\\u{1b}[2J');
  assert.deepEqual(problems.at(-1), {
    key: 'subnets/',
    reason: '19984 more keys: they are not subnets; delete them',
  });
});

test('thousands of records of every bad kind: /readyz stays small', () => {
  const records: Record<string, string> = {};
  for (let n = 0; n < 3000; n++) {
    const subnet = `10.${100 + (n >> 8)}.${n & 255}.0-24`;
    records[`subnets/${subnet}`] = good;
    records[`subnets/10.244.${n & 255}.${n >> 8}-32`] = 'garbage'.repeat(100);
    records[`weft/nodes/n${n}`] = '{}';
  }
  const text = JSON.stringify(peersOf(viewOf(records), rules).problems);
  assert.ok(text.length < 10_000, `${text.length}`);
});

test('keys under the prefix that weft does not know: they are not kept in memory', () => {
  const view = viewOf({ 'elsewhere/a': 'x', 'weft/other/b': 'y', 'subnets/10.244.2.0-24': good });
  assert.deepEqual([...view.records.keys()], ['subnets/10.244.2.0-24']);
});

test('node record whose renewal takes forever: its holder counts as silent after half an hour at most', () => {
  const record = { id: 'n2', name: 'n', subnet: '10.244.2.0-24', boot: 'b', run: 'r', renewSeconds: 1e12 };
  assert.equal(viewOf({ 'weft/nodes/n2': encodeNode(record) }).node('n2')?.renewSeconds, 600);
});

test('node record that names no subnet: it is not a node', () => {
  const record = { id: 'n2', name: 'n', subnet: '../../config', boot: 'b', run: 'r', renewSeconds: 10 };
  assert.equal(viewOf({ 'weft/nodes/n2': encodeNode(record) }).node('n2'), undefined);
});

test('nothing known yet: there are no peers, and the list is not complete', () => {
  assert.deepEqual(noPeers, { leases: new Map(), complete: false, problems: [] });
});
