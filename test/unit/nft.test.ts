/** kernel/nft's pure half: fields as bytes, and the plan for a table's parts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../../inet/ip.ts';
import {
  decodeFields,
  encodeFields,
  type FieldType,
  type FieldValue,
  formatFields,
  lengthOfFields,
} from '../../kernel/nft/field.ts';
import { difference, formatPart, type Part, planParts } from '../../kernel/nft/part.ts';
import type { Table } from '../../kernel/nft/state.ts';

describe('fields', () => {
  const cases: readonly { types: FieldType[]; values: FieldValue[]; hex: string; text: string }[] = [
    { types: ['inet_service'], values: [8080], hex: '1f90', text: '8080' },
    { types: ['ipv4_addr'], values: [ip('10.244.1.5')], hex: '0af40105', text: '10.244.1.5' },
    {
      types: ['inet_proto', 'inet_service'],
      values: ['udp', 53],
      hex: '11000000' + '00350000',
      text: 'udp . 53',
    },
    {
      types: ['ifname', 'ether_addr', 'ipv4_addr'],
      values: ['veth1', '02:00:00:00:00:01', ip('10.0.0.1')],
      hex: `${Buffer.from('veth1').toString('hex').padEnd(32, '0')}02000000000100000a000001`,
      text: 'veth1 . 02:00:00:00:00:01 . 10.0.0.1',
    },
    {
      types: ['ipv6_addr'],
      values: [ip('fd00::1')],
      hex: 'fd000000000000000000000000000001',
      text: 'fd00::1',
    },
  ];
  for (const { types, values, hex, text } of cases) {
    it(`${text} is the bytes the kernel compares, and comes back`, () => {
      const bytes = encodeFields(types, values);
      assert.equal(bytes.toString('hex'), hex);
      assert.equal(lengthOfFields(types), bytes.length);
      assert.deepEqual(decodeFields(types, bytes), values);
      assert.equal(formatFields(types, values), text);
    });
  }

  it('refuse what does not fit', () => {
    assert.throws(() => encodeFields(['ipv4_addr'], [ip('fd00::1')]), /fd00|no ipv4_addr/);
    assert.throws(() => encodeFields(['ifname'], ['a-name-of-16-char']), /too long/);
    assert.throws(() => encodeFields(['inet_proto', 'inet_service'], ['tcp']), /1 values for a key of 2/);
  });
});

const part: Part = {
  family: 'inet',
  table: 'weft',
  name: 'guard',
  sets: [{ family: 'inet', table: 'weft', name: 'peers', key: ['ipv4_addr'] }],
  chains: [{ name: 'guard', base: 'type filter hook input priority raw; policy accept;', rules: ['drop'] }],
};
const name = { family: 'inet', table: 'weft' } as const;
const digest = /comment "([0-9a-f]+)"/.exec(formatPart(part))?.[1];
const rule = (chain: string, comment?: string) => ({
  ...name,
  chain,
  handle: 1n,
  comment,
  expressions: Buffer.alloc(0),
});
const chain = (chainName: string, hook?: number) => ({
  ...name,
  name: chainName,
  type: hook === undefined ? undefined : 'filter',
  hook,
  priority: hook === undefined ? undefined : -300,
  policy: hook === undefined ? undefined : ('accept' as const),
});
const whole: Table = {
  ...name,
  chains: [chain('guard', 1), chain('part-guard')],
  rules: [rule('guard'), rule('part-guard', digest)],
  sets: [{ ...name, name: 'peers', keyBytes: 4, dataBytes: undefined, anonymous: false }],
};
const plan = (actual: Table | undefined, more: { all?: boolean; touched?: Set<string> } = {}) =>
  planParts({ name, desired: [part], actual, all: true, ...more });

describe('the plan for parts', () => {
  it('is empty where nothing differs', () => {
    assert.equal(difference(part, whole), undefined);
    assert.equal(plan(whole), undefined);
  });

  it('makes a table from nothing without deleting anything', () => {
    const commands = plan(undefined)?.commands ?? '';
    assert.match(commands, /^add table inet weft\n/);
    assert.doesNotMatch(commands, /delete|flush/);
  });

  it('never flushes or deletes a set of the right shape', () => {
    const old = { ...whole, rules: [rule('guard'), rule('part-guard', 'older')] };
    const commands = plan(old)?.commands ?? '';
    assert.match(commands, /flush chain inet weft guard\n/);
    assert.doesNotMatch(commands, /(flush|delete) (set|map|table)/);
  });

  it('replaces a part of whose rules somebody changed the bytes', () => {
    assert.deepEqual(plan(whole, { touched: new Set(['guard']) })?.reasons, [
      'inet weft guard: changed outside weft',
    ]);
  });

  it('removes chains of nobody only from a table that is all ours', () => {
    const stray = { ...whole, chains: [...whole.chains, chain('old')] };
    assert.match(plan(stray)?.commands ?? '', /flush chain inet weft old\ndelete chain inet weft old/);
    assert.equal(plan(stray, { all: false }), undefined);
  });
});
