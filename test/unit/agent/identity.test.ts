import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ensureIdentity, identityOf, identityPath } from '../../../agent/identity/identity.ts';
import { bytesOfMac } from '../../../inet/mac.ts';
import { folderOf } from './folder.ts';

const id = '3f0a7c1e-5d4b-4a53-9b1e-0c9f6f1f7a2b';

describe('node identity', () => {
  it('stateDir absent: created, and the identity stays the same', (t) => {
    const stateDir = join(folderOf(t), 'lib', 'weft');
    const drawn = ensureIdentity(stateDir);
    assert.deepEqual(ensureIdentity(stateDir), drawn);
    assert.deepEqual(readdirSync(stateDir), ['node.json']);
  });

  it('two nodes: two identities', (t) => {
    assert.notEqual(ensureIdentity(folderOf(t)).nodeId, ensureIdentity(folderOf(t)).nodeId);
  });

  it('VTEP MACs: follow from the id, unicast and local, one per family', () => {
    const { ipv4, ipv6 } = identityOf(id).vtepMacs;
    assert.deepEqual(identityOf(id).vtepMacs, { ipv4, ipv6 });
    assert.notEqual(ipv4, ipv6);
    for (const mac of [ipv4, ipv6]) assert.equal((bytesOfMac(mac)[0] ?? 0) & 3, 2, mac);
  });

  it('MACs in node.json: used as written', (t) => {
    const stateDir = folderOf(t);
    const kept = { nodeId: id, vtepMacs: { ipv4: '02:00:00:00:00:01', ipv6: '02:00:00:00:00:02' } };
    writeFileSync(identityPath(stateDir), JSON.stringify(kept));
    assert.deepEqual(ensureIdentity(stateDir), kept);
  });

  const foreign: [what: string, content: string][] = [
    ['empty', ''],
    ['torn', '{"nodeId":"3f0a'],
    ['null', 'null'],
    ['another thing', '{"id":1}'],
    ['an id that is none', JSON.stringify({ ...identityOf(id), nodeId: '../../etc' })],
    ['a MAC that is none', JSON.stringify({ nodeId: id, vtepMacs: { ipv4: 'x', ipv6: 'y' } })],
  ];
  for (const [what, content] of foreign) {
    it(`node.json with ${what}: refused, and the file stays`, (t) => {
      const stateDir = folderOf(t);
      writeFileSync(identityPath(stateDir), content);
      assert.throws(() => ensureIdentity(stateDir), {
        code: 'state',
        message: /^failed to parse .*node\.json: not a node identity; restore it, or remove it/,
      });
      assert.equal(readFileSync(identityPath(stateDir), 'utf8'), content);
    });
  }

  it('node.json is a directory: refused with the reason', (t) => {
    const stateDir = folderOf(t);
    mkdirSync(identityPath(stateDir));
    assert.throws(() => ensureIdentity(stateDir), {
      code: 'state',
      message: /^failed to read .*node\.json: EISDIR/,
    });
  });

  it('stateDir below a file: refused with the path', (t) => {
    const file = join(folderOf(t), 'file');
    writeFileSync(file, '');
    assert.throws(() => ensureIdentity(join(file, 'weft')), {
      message: /^failed to (read|write) .*node\.json: /,
    });
  });
});
