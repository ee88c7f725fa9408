/** The codec of what nodes tell their peers beyond flannel's record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeExtension,
  encodeExtension,
  type NodeExtension,
  sameExtension,
  withUnknown,
} from '../../../agent/lease/extension.ts';
import { decodeNode, encodeNode } from '../../../agent/lease/view/node-record.ts';
import { ip } from '../../../inet/ip.ts';

const publicKey = `${'A'.repeat(43)}=`;
const full: NodeExtension = {
  localIps: [ip('10.0.0.5'), ip('fd00::5')],
  publicKey,
  site: 'rack-1.b',
  version: '0.2.0',
};

test('extension, every field: text is canonical and reads back the same', () => {
  const text = encodeExtension(full);
  assert.equal(
    text,
    `{"format":1,"localIPs":["10.0.0.5","fd00::5"],"publicKey":"${publicKey}","site":"rack-1.b","version":"0.2.0"}`,
  );
  assert.deepEqual(decodeExtension(text), full);
});

test('extension, addresses in another order: it is the same extension', () => {
  const [first, second] = full.localIps;
  assert.ok(first && second);
  assert.ok(sameExtension(full, { ...full, localIps: [second, first] }));
  assert.ok(!sameExtension(full, { ...full, site: 'rack-2' }));
  assert.ok(!sameExtension(full, undefined));
});

test('extension with nothing to tell: only the format is written', () => {
  assert.equal(encodeExtension({ localIps: [] }), '{"format":1}');
  assert.deepEqual(decodeExtension('{"format":1}'), { localIps: [] });
});

test('extension of a newer version: unknown fields survive being written again by this version', () => {
  const stored = decodeExtension('{"format":1,"version":"9.0.0","weight":{"a":[1]},"zone":"z"}');
  assert.ok(typeof stored === 'object');
  assert.equal(
    encodeExtension(withUnknown({ localIps: [], version: '0.2.0' }, stored)),
    '{"format":1,"version":"0.2.0","weight":{"a":[1]},"zone":"z"}',
  );
});

const malformed: Record<string, RegExp> = {
  'not json': /is not a JSON object/,
  '[]': /is not a JSON object/,
  '{}': /unsupported format; supported: 1/,
  '{"format":2}': /unsupported format; supported: 1/,
  '{"format":1,"localIPs":"10.0.0.5"}': /localIPs is not a list/,
  '{"format":1,"localIPs":["10.0.0.256"]}': /not an address/,
  '{"format":1,"localIPs":["10.0.0.5","10.0.0.6"]}': /two addresses of one family/,
  '{"format":1,"localIPs":["10.0.0.5","fd00::1","fd00::2"]}': /up to two addresses/,
  '{"format":1,"publicKey":"AAAA"}': /publicKey is malformed/,
  '{"format":1,"site":"../b"}': /site is malformed/,
  '{"format":1,"site":7}': /site is malformed/,
  '{"format":1,"version":"\\u001b[2J"}': /version is malformed/,
  [`{"format":1,"x":"${'y'.repeat(9000)}"}`]: /9\d{3} characters/,
};
for (const [text, reason] of Object.entries(malformed)) {
  test(`extension ${text.slice(0, 60)}: refused with the field's name`, () => {
    const outcome = decodeExtension(text);
    assert.ok(typeof outcome === 'string');
    assert.match(outcome, reason);
  });
}

test('node record of 0.1.0: it has no extension and no problem', () => {
  const node = decodeNode(
    'id',
    '{"name":"n","subnet":"10.244.1.0-24","boot":"b","run":"r","renewSeconds":10}',
  );
  assert.ok(node && !('extension' in node) && !('extensionProblem' in node));
});

test('node record with an extension: 0.1.0 fields are as before, and both read back', () => {
  const node = { id: 'id', name: 'n', subnet: '10.244.1.0-24', boot: 'b', run: 'r', renewSeconds: 10 };
  assert.equal(
    encodeNode({ ...node, extension: { localIps: [], version: '0.2.0' } }),
    '{"name":"n","subnet":"10.244.1.0-24","boot":"b","run":"r","renewSeconds":10,"extension":{"format":1,"version":"0.2.0"}}',
  );
  assert.deepEqual(decodeNode('id', encodeNode({ ...node, extension: full })), { ...node, extension: full });
});
