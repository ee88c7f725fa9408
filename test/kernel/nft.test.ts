/** kernel/nft against the kernel: what is asked for is what plain `nft` then shows, and the other way round. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ip } from '../../inet/ip.ts';
import { type Netns, openNetns, within } from '../../kernel/netns.ts';
import {
  add,
  addMany,
  elementOf,
  elements,
  ensureAbsent,
  lookUp,
  remove,
  removeMany,
} from '../../kernel/nft/element.ts';
import {
  attemptTransaction,
  type Nfnl,
  openNfnl,
  transact,
  transactInTurn,
} from '../../kernel/nft/nfnetlink.ts';
import { ensureParts, type Part } from '../../kernel/nft/part.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import type { NftSet } from '../../kernel/nft/set.ts';
import { fingerprint, readTable } from '../../kernel/nft/state.ts';

const name = `weft-t-${process.pid}-nft`;
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });
const nft = (...args: string[]): string => run('ip', 'netns', 'exec', name, 'nft', ...args);

let netns: Netns;
let nfnl: Nfnl;

before(() => {
  run('ip', 'netns', 'add', name);
  netns = openNetns(`/run/netns/${name}`);
  nfnl = within(netns, openNfnl);
});
beforeEach(() => {
  nft('flush', 'ruleset');
});
after(() => {
  nfnl?.close();
  netns?.close();
  run('ip', 'netns', 'del', name);
});

const ports = {
  family: 'inet',
  table: 'weft',
  name: 'ports',
  key: ['inet_proto', 'inet_service'],
  data: ['ipv4_addr', 'inet_service'],
} as const satisfies NftSet;
const peers = { family: 'inet', table: 'weft', name: 'peers', key: ['ipv4_addr'] } as const satisfies NftSet;
const sources = {
  family: 'bridge',
  table: 'weft',
  name: 'sources',
  key: ['ifname', 'ether_addr', 'ipv6_addr'],
} as const satisfies NftSet;

const web = elementOf(ports, { key: ['tcp', 8080], data: [ip('10.244.1.5'), 80], comment: 'weft/c1/eth0' });
const dns = elementOf(ports, { key: ['udp', 53], data: [ip('10.244.1.6'), 5353] });

describe('elements', () => {
  beforeEach(() => {
    nft('add table inet weft; add table bridge weft');
    nft('add map inet weft ports { type inet_proto . inet_service : ipv4_addr . inet_service; }');
    nft('add set inet weft peers { type ipv4_addr; }');
    nft('add set bridge weft sources { type ifname . ether_addr . ipv6_addr; }');
  });

  it('are what nft shows, with their data and comment, in sets of two families in one transaction', () => {
    const source = elementOf(sources, { key: ['veth1', '02:00:00:00:00:01', ip('fd00::5')] });
    transact(nfnl, add([web, dns, elementOf(peers, { key: [ip('192.0.2.1')] }), source]));
    const shown = nft('list', 'ruleset');
    assert.match(shown, /tcp \. 8080 comment "weft\/c1\/eth0" : 10\.244\.1\.5 \. 80/);
    assert.match(shown, /udp \. 53 : 10\.244\.1\.6 \. 5353/);
    assert.match(shown, /elements = \{ 192\.0\.2\.1 \}/);
    assert.match(shown, /"veth1" \. 02:00:00:00:00:01 \. fd00::5/);
  });

  it('are read as nft wrote them', () => {
    nft('add element inet weft ports { tcp . 443 comment "x" : 10.0.0.1 . 8443 }');
    assert.deepEqual(elements(nfnl, ports), [
      { key: ['tcp', 443], data: [ip('10.0.0.1'), 8443], comment: 'x' },
    ]);
    nft('add element bridge weft sources { "veth7" . 02:00:00:00:00:07 . fd00::7 }');
    assert.deepEqual(elements(nfnl, sources), [{ key: ['veth7', '02:00:00:00:00:07', ip('fd00::7')] }]);
    assert.deepEqual(elements(nfnl, peers), []);
  });

  it('are looked up by key', () => {
    transact(nfnl, add([web]));
    assert.deepEqual(lookUp(nfnl, web)?.data, [ip('10.244.1.5'), 80]);
    assert.equal(lookUp(nfnl, dns), undefined);
  });

  it('that are taken refuse the whole transaction and name the one', () => {
    transact(nfnl, add([web]));
    const outcomes = attemptTransaction(nfnl, add([dns, web], { exclusive: true }));
    assert.equal(outcomes[0], undefined);
    assert.equal(outcomes[1]?.code, 'EEXIST');
    assert.match(outcomes[1]?.message ?? '', /inet weft ports \{ tcp \. 8080 \}: EEXIST/);
    assert.equal(lookUp(nfnl, dns), undefined);
  });

  it('by the thousand are one transaction all the same, and so is the refusal of every one', () => {
    const many = Array.from({ length: 6000 }, (_, i) =>
      elementOf(ports, { key: ['tcp', 20_000 + i], data: [ip('10.244.1.5'), 80], comment: 'weft/c1/eth0' }),
    );
    transact(nfnl, add(many, { exclusive: true }));
    assert.equal(elements(nfnl, ports)?.length, many.length);
    const outcomes = attemptTransaction(nfnl, add([...many, dns], { exclusive: true }));
    assert.equal(outcomes.filter((outcome) => outcome?.code === 'EEXIST').length, many.length);
    assert.equal(lookUp(nfnl, dns), undefined);
    assert.equal(ensureAbsent(nfnl, [dns, ...many]), many.length);
  });

  it('can be added again as they are, but not with other data', () => {
    transact(nfnl, add([web]));
    transact(nfnl, add([web]));
    const other = elementOf(ports, { key: ['tcp', 8080], data: [ip('10.244.1.9'), 80] });
    assert.throws(() => transact(nfnl, add([other])), { code: 'EEXIST' });
  });

  it('are removed; of several those that are there', () => {
    transact(nfnl, add([web]));
    assert.throws(() => transact(nfnl, remove([dns])), { code: 'ENOENT' });
    assert.equal(ensureAbsent(nfnl, [dns, web]), 1);
    assert.deepEqual(elements(nfnl, ports), []);
    assert.equal(ensureAbsent(nfnl, [dns, web]), 0);
  });

  it('need a set', () => {
    nft('delete table inet weft');
    assert.throws(() => transact(nfnl, add([web])), { code: 'ENOENT' });
    assert.equal(elements(nfnl, ports), undefined);
    assert.equal(lookUp(nfnl, web), undefined);
    assert.equal(ensureAbsent(nfnl, [web]), 0);
  });

  it('go by the thousand', () => {
    const many = Array.from({ length: 20_000 }, (_, i) =>
      elementOf(peers, { key: [{ family: 'ipv4', value: 0x0a000000n + BigInt(i) }] }),
    );
    transactInTurn(nfnl, addMany(many));
    assert.equal(elements(nfnl, peers)?.length, 20_000);
    transactInTurn(nfnl, removeMany(many));
    assert.deepEqual(elements(nfnl, peers), []);
  });
});

const inet = { family: 'inet', table: 'weft' } as const;
const guard = (rule: string): Part => ({
  ...inet,
  name: 'guard',
  sets: [peers],
  chains: [
    { name: 'guard', base: 'type filter hook input priority raw; policy accept;', rules: [rule] },
    { name: 'other', rules: ['return'] },
  ],
});
const mapping: Part = {
  ...inet,
  name: 'mapping',
  sets: [ports],
  chains: [
    {
      name: 'mapping',
      base: 'type nat hook prerouting priority dstnat; policy accept;',
      rules: ['meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport map @ports'],
    },
  ],
};
const allow = 'ip saddr != @peers drop';
const ensure = (desired: readonly Part[], all = true) =>
  within(netns, () => ensureParts({ nfnl, name: inet, desired, all }));

describe('parts of a table', () => {
  it('are made, and left alone once they are there', () => {
    assert.deepEqual(ensure([guard(allow), mapping]), [
      'inet weft guard: missing',
      'inet weft mapping: missing',
    ]);
    assert.match(nft('list', 'ruleset'), /hook input priority raw; policy accept;\s+ip saddr != @peers drop/);
    assert.deepEqual(ensure([guard(allow), mapping]), []);
  });

  it('are replaced around their elements, each without the others', () => {
    ensure([guard(allow), mapping]);
    transact(nfnl, add([web, elementOf(peers, { key: [ip('192.0.2.1')] })]));
    const before = nft('-a', 'list', 'chain', 'inet', 'weft', 'mapping');
    assert.deepEqual(ensure([guard('udp dport 1 ip saddr != @peers drop'), mapping]), [
      'inet weft guard: of another version',
    ]);
    assert.match(nft('list', 'chain', 'inet', 'weft', 'guard'), /udp dport 1 ip saddr != @peers drop/);
    assert.equal(nft('-a', 'list', 'chain', 'inet', 'weft', 'mapping'), before);
    assert.equal(elements(nfnl, peers)?.length, 1);
    assert.equal(elements(nfnl, ports)?.length, 1);
  });

  const damages: readonly (readonly [string, string, RegExp])[] = [
    ['the table is deleted', 'delete table inet weft', /missing/],
    ['its rules are flushed', 'flush table inet weft', /missing/],
    ['a chain is flushed', 'flush chain inet weft guard', /rules of chain guard changed/],
    ['a rule is added', 'insert rule inet weft guard accept', /rules of chain guard changed/],
    ['a chain of nobody is added', 'add chain inet weft stray', /chain stray: unexpected/],
    ['a set of nobody is added', 'add set inet weft stray { type ipv4_addr; }', /set stray: unexpected/],
    ['a map of nobody is added', 'add map inet weft stray { type ipv4_addr : ipv4_addr; }', /set stray/],
  ];
  for (const [what, command, reason] of damages) {
    it(`are restored when ${what}`, () => {
      ensure([guard(allow), mapping]);
      const rules = () => {
        const table = readTable(nfnl, inet);
        assert.ok(table);
        return `${table.rules.length} ${table.chains.length} ${table.sets.filter((set) => !set.anonymous).length}`;
      };
      const whole = rules();
      nft(command);
      assert.match(ensure([guard(allow), mapping]).join('\n'), reason);
      assert.equal(rules(), whole);
      assert.deepEqual(ensure([guard(allow), mapping]), []);
    });
  }

  it('of others stay where only some are ours', () => {
    ensure([guard(allow)]);
    assert.deepEqual(ensure([mapping], false), ['inet weft mapping: missing']);
    assert.deepEqual(ensure([guard(allow), mapping]), []);
  });

  it('get a set of another shape replaced', () => {
    nft('add table inet weft; add map inet weft ports { type inet_service : ipv4_addr; }');
    ensure([mapping]);
    transact(nfnl, add([web]));
    assert.equal(elements(nfnl, ports)?.length, 1);
  });

  it('have a fingerprint that any change of a rule changes', () => {
    ensure([guard(allow), mapping]);
    const print = () => {
      const table = readTable(nfnl, inet);
      assert.ok(table);
      return fingerprint(table);
    };
    const first = print();
    assert.equal(print(), first);
    nft('flush chain inet weft guard; add rule inet weft guard ip saddr @peers drop');
    assert.notEqual(print(), first);
  });

  it('are refused in nft’s own words, and nothing is changed', () => {
    assert.throws(() => within(netns, () => applyRules('add table inet t1\nadd chain inet t2 c\n')), {
      name: 'NftError',
      message: /No such file or directory/,
    });
    assert.equal(nft('list', 'tables'), '');
  });
});
