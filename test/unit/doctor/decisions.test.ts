/** What the doctor's checks conclude from what they read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checksumErrorsIn } from '../../../agent/doctor/checksum-errors.ts';
import { portConflicts } from '../../../agent/doctor/port-conflicts.ts';
import { dropsOfPort } from '../../../agent/doctor/port-drops.ts';
import { type SilenceFacts, silenceOf } from '../../../agent/doctor/silence.ts';
import { tableLimit } from '../../../agent/doctor/table-limit.ts';
import { wrapped } from '../../../cli/wrapped.ts';
import { ip } from '../../../inet/ip.ts';

describe('silent peer', () => {
  const facts: SilenceFacts = {
    address: '192.0.2.2',
    port: 8472,
    heardSecondsAgo: undefined,
    probeSeconds: 5,
    answersEcho: true,
    answersInTunnel: false,
    renewedSecondsAgo: undefined,
    droppedHere: false,
  };
  const rows: readonly [what: string, over: Partial<SilenceFacts>, cause: RegExp][] = [
    ['guard drops its packets: its address', { droppedHere: true }, /dropped by this node's tunnel guard/],
    [
      'kernel answers in the tunnel: its agent',
      { answersInTunnel: true, renewedSecondsAgo: 61.4 },
      /weftd .* 61 s ago/,
    ],
    ['its probes arrive: the way to it', { heardSecondsAgo: 4 }, /ours do not reach it/],
    [
      'its probes arrived long ago: the way from it',
      { heardSecondsAgo: 400 },
      /the way from 192\.0\.2\.2 is blocked/,
    ],
    ['answers no ping: the node', { answersEcho: false }, /the node is down/],
  ];
  for (const [what, over, cause] of rows)
    it(`${what}`, () => assert.match(silenceOf({ ...facts, ...over }).found, cause));
});

describe('neighbour table', () => {
  const table = { family: 'ipv4', limit: 1024, used: 10, pods: 50, peers: 100 } as const;
  it('room for all: nothing', () => assert.equal(tableLimit(table), undefined));
  it('limit that cannot be seen: nothing', () =>
    assert.equal(tableLimit({ ...table, limit: Number.NaN, used: 5000 }), undefined));
  it('more pods and peers than the limit: a larger one is wanted', () => {
    const found = tableLimit({ ...table, limit: 128 });
    assert.equal(found?.wanted, '512');
    assert.match(found?.remedy ?? '', /^sysctl -w net\.ipv4\.neigh\.default\.gc_thresh3=512/);
  });
  it('nearly full: a larger one is wanted', () =>
    assert.equal(tableLimit({ ...table, used: 900 })?.wanted, '2048'));
});

describe('checksum errors', () => {
  it("counters of TCP and UDP of both families: added; UDP-Lite's are not", () => {
    const snmp = [
      'Tcp: InErrs InCsumErrors',
      'Tcp: 9 2',
      'Udp: InCsumErrors IgnoredMulti',
      'Udp: 3 9',
      'UdpLite: InCsumErrors',
      'UdpLite: 100',
    ].join('\n');
    assert.equal(checksumErrorsIn(snmp, 'Udp6InErrors   9\nUdp6InCsumErrors   4\n'), 9);
  });
  it('kernel without these counters: none', () => assert.equal(checksumErrorsIn('', ''), 0));
});

describe('rules that drop a port', () => {
  const rule = (expr: unknown[], over = {}) => ({
    rule: { family: 'inet', table: 'site', chain: 'in', handle: 7, expr, ...over },
  });
  const match = (right: unknown, op = '==') => ({
    match: { op, left: { payload: { protocol: 'udp', field: 'dport' } }, right },
  });
  const chain = { chain: { family: 'inet', table: 'site', name: 'in', hook: 'input' } };
  const of = { port: 8472, except: 'weft' };
  const dropped = [{ chain: 'inet site in', handle: 7, hook: 'input' }];

  it('port alone, and in a set: found', () => {
    for (const right of [8472, { set: [53, 8472] }])
      assert.deepEqual(dropsOfPort({ nftables: [chain, rule([match(right), { drop: null }])] }, of), dropped);
  });
  it('other ports, all but the port, accepted, our own table: not found', () => {
    const others = [
      rule([match(53), { drop: null }]),
      rule([match(8472, '!='), { drop: null }]),
      rule([match(8472), { accept: null }]),
      rule([match(8472), { drop: null }], { table: 'weft' }),
    ];
    assert.deepEqual(dropsOfPort({ nftables: [chain, ...others] }, of), []);
  });
  it('what is no rule set: nothing', () => assert.deepEqual(dropsOfPort({ nftables: [null, 1] }, of), []));
});

describe('host ports', () => {
  const pod = { hostPort: 8080, protocol: 'tcp', hostIp: undefined, containerId: 'a' };
  const listener = { protocol: 'tcp', port: 8080, address: undefined, program: 'nginx' } as const;
  it('same port and protocol: in conflict', () =>
    assert.deepEqual(portConflicts([pod], [listener]), [{ pod, listener }]));
  it('other protocol, port or address: not in conflict', () => {
    assert.deepEqual(portConflicts([{ ...pod, protocol: 'udp' }], [listener]), []);
    assert.deepEqual(portConflicts([{ ...pod, hostPort: 80 }], [listener]), []);
    const elsewhere = { ...listener, address: ip('192.0.2.1') };
    assert.deepEqual(portConflicts([{ ...pod, hostIp: ip('192.0.2.2') }], [elsewhere]), []);
  });
});

describe('wrapped text', () => {
  it('words that fit: one line; the others go below, with more columns before them', () =>
    assert.deepEqual(wrapped('one two three', { width: 9, indent: 1, hang: 2 }), [' one two', '   three']));
  it('word that is longer than the line: stays whole', () =>
    assert.deepEqual(wrapped('a bbbbbbbbbb', { width: 5, indent: 0, hang: 0 }), ['a', 'bbbbbbbbbb']));
});
