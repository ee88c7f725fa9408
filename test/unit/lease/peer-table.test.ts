/** What docs/leases.md promises of peers that are known: memory before a whole list, grace after their lease ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeValue } from '../../../agent/lease/flannel/value.ts';
import { PeerTable } from '../../../agent/lease/view/peer-table.ts';
import { ClusterView } from '../../../agent/lease/view/view.ts';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import { attributes, network } from './builders.ts';

const key = '10.244.2.0-24';
const lease = { key, subnets: [cidr('10.244.2.0/24')], ...attributes('192.168.188.102') };
const record = {
  key: `subnets/${key}`,
  value: encodeValue(attributes('192.168.188.102')),
  version: '1',
  session: 's',
};
const rules = {
  networks: [network],
  oneLength: true,
  own: '10.244.1.0-24',
  ownSubnets: [cidr('10.244.1.0/24')],
  ownIps: [ip('192.168.188.101')],
  ownMacs: [],
};

function tableAt(saved = [lease]) {
  const time = { now: 1000 };
  const clock = { now: () => time.now, wallNow: () => time.now, after: () => () => undefined };
  return { time, table: new PeerTable({ graceSeconds: 10, clock, saved }) };
}

const keysOf = (table: PeerTable): string[] => [...table.peers.leases.keys()];

test('saved peer, no whole list seen yet: it stays, for any time', () => {
  const { table, time } = tableAt();
  const view = new ClusterView();
  table.update(view, rules);
  time.now += 3_600_000;
  table.update(view, rules);
  assert.deepEqual(keysOf(table), [key]);
  assert.equal(table.nextEndMs, undefined);
});

test('peer missing from a whole list: it stays for its grace, and goes at its end', () => {
  const { table, time } = tableAt();
  const view = new ClusterView();
  view.apply({ type: 'list', records: [], cursor: '1' });
  table.update(view, rules);
  assert.deepEqual(keysOf(table), [key]);
  assert.equal(table.nextEndMs, 11_000);
  time.now = 10_999;
  table.update(view, rules);
  assert.deepEqual(keysOf(table), [key]);
  time.now = 11_000;
  table.update(view, rules);
  assert.deepEqual(keysOf(table), []);
  assert.equal(table.nextEndMs, undefined);
});

test('peer back within its grace: it stays, and a later end has a grace of its own', () => {
  const { table, time } = tableAt();
  const view = new ClusterView();
  view.apply({ type: 'list', records: [], cursor: '1' });
  table.update(view, rules);
  view.apply({ type: 'events', events: [{ type: 'put', record }], cursor: '2' });
  table.update(view, rules);
  assert.equal(table.nextEndMs, undefined);
  time.now = 50_000;
  view.apply({ type: 'events', events: [{ type: 'delete', key: record.key }], cursor: '3' });
  table.update(view, rules);
  assert.deepEqual(keysOf(table), [key]);
  assert.equal(table.nextEndMs, 60_000);
});

test('peer gave its subnet back: it goes at once', () => {
  const { table } = tableAt();
  const view = new ClusterView();
  const mark = { key: `weft/released/${key}`, value: 'id run', version: '1', session: 's' };
  view.apply({ type: 'list', records: [mark], cursor: '1' });
  table.update(view, rules);
  assert.deepEqual(keysOf(table), []);
});

test('ended peer whose subnet another peer has: it goes at once', () => {
  const { table } = tableAt();
  const view = new ClusterView();
  const other = { ...record, key: `subnets/${key}&fd00:244::-64`, version: '2' };
  view.apply({ type: 'list', records: [other], cursor: '1' });
  const networks = [network, { cidr: cidr('fd00:244::/56'), subnetLength: 64 }];
  table.update(view, { ...rules, networks });
  assert.deepEqual(keysOf(table), [`${key}&fd00:244::-64`]);
});

test('nothing changed: the peers are the same object', () => {
  const { table } = tableAt();
  const view = new ClusterView();
  view.apply({ type: 'list', records: [record], cursor: '1' });
  assert.ok(table.update(view, rules), 'the list is complete now');
  const { peers } = table;
  assert.ok(!table.update(view, rules));
  assert.equal(table.peers, peers);
  assert.equal(peers.leases.get(key), lease, 'the lease is the one that was known');
});
