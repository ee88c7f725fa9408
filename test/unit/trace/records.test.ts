/** What a trace puts into the store, and what it accepts from there: records are not trusted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nearestPods, podsNamed } from '../../../agent/trace/pod-names.ts';
import { decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion } from '../../../agent/trace/records.ts';
import { ip } from '../../../inet/ip.ts';

const question = {
  node: '0b5e8f3a-0000-4000-8000-000000000001',
  source: ip('10.244.1.2'),
  target: ip('10.244.2.2'),
};

describe('question of a trace', () => {
  it('encoded and decoded: the same', () =>
    assert.deepEqual(decodeQuestion(encodeQuestion(question)), question));

  const valid = JSON.parse(encodeQuestion(question)) as Record<string, unknown>;
  for (const [what, value] of Object.entries({
    'not JSON': '{',
    'another format': JSON.stringify({ ...valid, format: 2 }),
    'a field more': JSON.stringify({ ...valid, command: 'x' }),
    'no address': JSON.stringify({ ...valid, target: 'node-2' }),
    'two families': JSON.stringify({ ...valid, target: 'fd00::1' }),
    'a node id with a path': JSON.stringify({ ...valid, node: '../x' }),
    'too long': JSON.stringify({ ...valid, source: ' '.repeat(2000) }),
  })) {
    it(`${what}: is none`, () => assert.equal(decodeQuestion(value), undefined));
  }
});

describe('answer of a trace', () => {
  const hops = [
    { name: 'pod', state: 'ok', text: 'eth0' },
    { name: 'bridge', state: 'failed', text: 'cni0 is down', remedy: 'ip link set cni0 up' },
  ] as const;

  it('encoded and decoded: the same', () => assert.deepEqual(decodeAnswer(encodeAnswer(hops)), hops));

  it('many long hops: cut, so that it is taken', () => {
    const long = {
      name: 'n'.repeat(5000),
      state: 'failed',
      text: '"'.repeat(5000),
      remedy: 'r'.repeat(5000),
    } as const;
    const decoded = decodeAnswer(encodeAnswer(Array.from({ length: 500 }, () => long)));
    assert.ok(decoded && decoded.length > 10);
  });

  for (const [what, value] of Object.entries({
    'not JSON': 'x',
    'another state': '{"format":1,"hops":[{"name":"a","state":"fine","text":""}]}',
    'a field more': '{"format":1,"hops":[],"x":1}',
    'no list': '{"format":1,"hops":{}}',
    'too long': JSON.stringify({ format: 1, hops: [], x: ' '.repeat(50_000) }),
  })) {
    it(`${what}: is none`, () => assert.equal(decodeAnswer(value), undefined));
  }
});

describe('names of pods', () => {
  const pod = (name: string | undefined, containerId: string, address: string) => ({
    pod: { namespace: 'shop', name },
    containerId,
    addresses: [{ address: ip(address), length: 24, gateway: ip('10.244.1.1') }],
  });
  const pods = [
    pod('web', 'aaaa1111bbbb2222', '10.244.1.2'),
    pod(undefined, 'cccc3333dddd4444', '10.244.1.3'),
  ];

  it('name, namespace with name, beginning of a container id: found', () => {
    for (const text of ['web', 'shop/web', 'aaaa1']) assert.deepEqual(podsNamed(pods, text), [pods[0]]);
  });
  it('beginning that is too short, or other text: not found', () => {
    for (const text of ['aaa', 'we', 'default/web']) assert.deepEqual(podsNamed(pods, text), []);
  });
  it('text that is none: the nearest come first', () => {
    assert.equal(nearestPods(pods, 'wbe')[0], 'web');
    assert.equal(nearestPods(pods, '10.244.1.33')[0], '10.244.1.3');
  });
});
