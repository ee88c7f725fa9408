/** What of flannel's is taken away from a node that becomes weft's. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { putBack, setAside } from '../../../agent/flannel-node/conflists.ts';
import { planRemoval } from '../../../agent/flannel-node/rules.ts';

describe("flannel's CNI configuration", () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-flannel-'));
    const file = (name: string, content: string): void => writeFileSync(join(directory, name), content);
    file('10-flannel.conflist', '{"name":"cbr0","plugins":[{"type":"flannel"},{"type":"portmap"}]}');
    file('20-old.conf', '{"name":"cbr0","type":"flannel"}');
    file('30-other.conflist', '{"name":"other","plugins":[{"type":"bridge"}]}');
    file('40-torn.conflist', '{"name":"cbr0","plug');
    file('50-null.conf', 'null');
  });
  after(() => rmSync(directory, { recursive: true }));

  it('lists and single plugins of type flannel: are set aside, others are not', () => {
    assert.deepEqual(setAside(directory), ['10-flannel.conflist', '20-old.conf']);
    assert.deepEqual(setAside(directory), []);
    assert.deepEqual(readdirSync(directory), [
      '10-flannel.conflist.replaced-by-weft',
      '20-old.conf.replaced-by-weft',
      '30-other.conflist',
      '40-torn.conflist',
      '50-null.conf',
    ]);
  });

  it('files set aside: are put back under their names', () => {
    assert.deepEqual(putBack(directory), ['10-flannel.conflist', '20-old.conf']);
    assert.ok(readdirSync(directory).includes('10-flannel.conflist'));
  });

  it('directory that does not exist: nothing is done', () => {
    assert.deepEqual(setAside(join(directory, 'missing')), []);
  });
});

describe("flannel's firewall rules", () => {
  it('nftables mode: both tables are deleted', () => {
    const listed = [
      { table: { family: 'ip', name: 'flannel-ipv4' } },
      { table: { family: 'ip6', name: 'flannel-ipv6' } },
      { table: { family: 'inet', name: 'weft' } },
    ];
    assert.deepEqual(planRemoval(listed).commands, [
      'delete table ip flannel-ipv4',
      'delete table ip6 flannel-ipv6',
    ]);
  });

  it('iptables mode: jumps go first, then the chains; rules of others stay', () => {
    const rule = (target: string, handle: number) => ({
      rule: {
        family: 'ip',
        table: 'nat',
        chain: 'POSTROUTING',
        handle,
        expr: [{ counter: {} }, { jump: { target } }],
      },
    });
    const listed = [
      { chain: { family: 'ip', table: 'nat', name: 'FLANNEL-POSTRTG' } },
      { chain: { family: 'ip', table: 'nat', name: 'KUBE-POSTROUTING' } },
      rule('KUBE-POSTROUTING', 4),
      rule('FLANNEL-POSTRTG', 7),
    ];
    assert.deepEqual(planRemoval(listed), {
      commands: [
        'delete rule ip nat POSTROUTING handle 7',
        'flush chain ip nat FLANNEL-POSTRTG',
        'delete chain ip nat FLANNEL-POSTRTG',
      ],
      removed: ['chain ip nat FLANNEL-POSTRTG'],
    });
  });
});
