import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeFrame } from '../../lab/frame.ts';
import { checkLabName, checkPodName, isMemberOf, netnsName } from '../../lab/names.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { fabricLines, memberLines, planTopology } from '../../lab/topology.ts';
import { selectTests } from '../../scripts/tests.ts';

const topologyOf = (over: Partial<Parameters<typeof planTopology>[0]> = {}) =>
  planTopology({ lab: 'lab', nodes: 3, subnets: 1, families: ['ipv4'], ...over });

describe('a lab', () => {
  it('knows its own namespaces by their names, also beside labs whose names look alike', () => {
    const labs = ['a', 'a-node-1', 'a-node', 'node-1', 'fabric'];
    for (const lab of labs) {
      for (const member of ['node-1', 'node-12', 'etcd-1', 'fabric']) {
        const owners = labs.filter((candidate) => isMemberOf(candidate, netnsName(lab, member)));
        assert.deepEqual(owners, [lab], netnsName(lab, member));
      }
    }
    for (const other of ['weft-lab', 'weft-lab-node-0', 'weft-lab-node-1x', 'x-weft-lab-node-1', 'node-1']) {
      assert.equal(isMemberOf('lab', other), false, other);
    }
  });
  for (const name of ['', '../x', 'A', 'a b', '-a', 'a-', 'x'.repeat(25)]) {
    it(`is not called ${JSON.stringify(name)}`, () =>
      assert.throws(() => checkLabName(name), /cannot name a lab/));
  }
  for (const name of ['', '../x', 'node-1', 'A', 'x'.repeat(64), '.']) {
    it(`has no pod called ${JSON.stringify(name)}`, () =>
      assert.throws(() => checkPodName(name), /is not a pod name/));
  }
  it('has the addresses that the documentation uses', () => {
    assert.deepEqual(
      topologyOf().nodes.map((node) => node.addresses),
      [['192.168.188.101/24'], ['192.168.188.102/24'], ['192.168.188.103/24']],
    );
  });
  it('spreads its nodes over its subnets in turn, each with a gateway in its own subnet', () => {
    const topology = topologyOf({ subnets: 2, families: ['ipv4', 'ipv6'] });
    assert.deepEqual(
      topology.nodes.map((node) => node.addresses),
      [
        ['192.168.188.101/24', 'fd00:192:168:188::101/64'],
        ['192.168.189.102/24', 'fd00:192:168:189::102/64'],
        ['192.168.188.103/24', 'fd00:192:168:188::103/64'],
      ],
    );
    const [, second] = topology.nodes;
    assert.ok(second);
    assert.ok(memberLines(topology, second).includes('route add default via 192.168.189.1'));
    assert.ok(fabricLines(topology).includes('route add blackhole fd00:10:244::/48'));
  });
  for (const [option, over] of [
    ['--nodes 0', { nodes: 0 }],
    ['--nodes 151', { nodes: 151 }],
    ['--subnets 4', { subnets: 4 }],
  ] as const) {
    it(`refuses ${option} and says what it takes`, () =>
      assert.throws(() => topologyOf(over), new RegExp(`${option}: give a whole number from 1 to \\d+`)));
  }
});

describe('a captured frame', () => {
  const ethernet = (type: string, payload: string) => `${'02'.repeat(12)}${type}${payload}`;
  const ipv4 = (protocol: string, payload: string) =>
    `4500000000000000ff${protocol}00000af401020af40203${payload}`;
  const ipv6 = (payload: string) =>
    `6000000000003aff${'fd00001002440001'.padEnd(31, '0')}2${'fd00001002440002'.padEnd(31, '0')}3${payload}`;
  const vxlan = (vni: string, frame: string) => `0000211800000000${'0800000000'.slice(0, 8)}${vni}00${frame}`;
  const hex = (text: string) => Buffer.from(text, 'hex');
  const request = ethernet('0800', ipv4('01', '0800'));

  it('is a request or a reply, from one pod to another', () => {
    const summary = { source: '10.244.1.2', destination: '10.244.2.3', tunnel: undefined };
    assert.deepEqual(describeFrame(hex(request)), { ...summary, request: true });
    assert.deepEqual(describeFrame(hex(ethernet('0800', ipv4('01', '0000')))), {
      ...summary,
      request: false,
    });
  });
  it('may be of the other family', () => {
    assert.deepEqual(describeFrame(hex(ethernet('86dd', ipv6('8000')))), {
      request: true,
      source: 'fd00:10:244:1::2',
      destination: 'fd00:10:244:2::3',
      tunnel: undefined,
    });
  });
  it('may be inside a tunnel, which is described too', () => {
    const outer = ethernet('0800', ipv4('11', vxlan('000001', request)));
    assert.deepEqual(describeFrame(hex(outer))?.tunnel, {
      vni: 1,
      source: '10.244.1.2',
      destination: '10.244.2.3',
    });
  });
  for (const [what, frame] of [
    ['too short', '0202'],
    ['ARP', ethernet('0806', '0001')],
    ['cut off', request.slice(0, 40)],
    ['UDP, and no VXLAN', ethernet('0800', ipv4('11', '0000211800000000'))],
  ] as const) {
    it(`is none of ours when it is ${what}`, () => assert.equal(describeFrame(hex(frame)), undefined));
  }
});

describe('a ping matrix', () => {
  const result = (from: string, to: string, rttMs: number | undefined) => {
    return { from, to, address: `10.244.0.${to === 'a' ? 1 : 2}`, rttMs, said: '' };
  };
  const results = [
    result('a', 'a', 0.02),
    result('a', 'b', undefined),
    result('b', 'a', 1.234),
    result('b', 'b', 0),
  ];
  it('has a row for who pings and a column for who is pinged', () => {
    assert.deepEqual(formatMatrix(results).split('\n'), [
      '             a           b',
      'ms  10.244.0.1  10.244.0.2',
      'a         0.02        lost',
      'b         1.23        0.00',
    ]);
  });
  it('counts what was lost', () => assert.deepEqual(lost(results), [results[1]]));
});

describe('the choice of tests', () => {
  const all = [
    { kind: 'unit', path: 'unit/inet.test.ts' },
    { kind: 'lab', path: 'lab/ping.test.ts' },
    { kind: 'vm', path: 'vm/boot.test.ts' },
  ];
  const choose = (...wanted: string[]) => selectTests({ all, wanted, onlyOnRequest: new Set(['vm']) });
  const paths = (...wanted: string[]) => choose(...wanted).tests.map((test) => test.path);
  it('is everything that needs no ground of its own', () =>
    assert.deepEqual(paths(), ['unit/inet.test.ts', 'lab/ping.test.ts']));
  it('is a kind, or a file', () => {
    assert.deepEqual(paths('vm'), ['vm/boot.test.ts']);
    assert.deepEqual(paths('test/lab/ping.test.ts', 'unit'), ['unit/inet.test.ts', 'lab/ping.test.ts']);
  });
  it('names what there is not', () => assert.deepEqual(choose('unit', 'unti').unknown, ['unti']));
});
