import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REMOVED, Redactor } from '../../../agent/bundle/redact.ts';

const key = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----';
const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';

test('redactor, parsed values: secrets by field name are removed, paths and other fields stay', () => {
  const shown = new Redactor([]).value({
    password: 'a',
    etcd: { passwordFile: '/etc/weft/password', 'client-key-data': 'b', tokens: ['c', { d: 'e' }] },
    pin: { apiKey: 7, key: '10.244.1.0-24' },
    empty: { secret: null },
  });
  assert.deepEqual(shown, {
    password: REMOVED,
    etcd: { passwordFile: '/etc/weft/password', 'client-key-data': REMOVED, tokens: REMOVED },
    pin: { apiKey: REMOVED, key: '10.244.1.0-24' },
    empty: { secret: null },
  });
});

test('redactor, strings anywhere: keys, credentials in URLs and bearer tokens are removed, certificates stay', () => {
  const redactor = new Redactor([]);
  assert.deepEqual(
    redactor.value([key, certificate, 'https://u:p@h:1/x', 'Authorization: Bearer abcdef123456']),
    [REMOVED, certificate, `https://${REMOVED}@h:1/x`, `Authorization: Bearer ${REMOVED}`],
  );
});

test('redactor, text: lines of JSON as values, assignments by their name, a key without its end to the end', () => {
  const redactor = new Redactor([]);
  assert.equal(
    redactor.text('{"token":"x1"}\npassword=x2 user=u\nrest'),
    `{"token":"${REMOVED}"}\npassword=${REMOVED} user=u\nrest`,
  );
  assert.equal(redactor.text('a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n'), `a\n${REMOVED}`);
});

test('redactor, known secrets: removed in any place and form', () => {
  const redactor = new Redactor(['pa"ss/word', 'short', 'abc']);
  const text = redactor.text('plain pa"ss/word; url pa%22ss%2Fword; json pa\\"ss/word; abc shorter');
  assert.equal(text, `plain ${REMOVED}; url ${REMOVED}; json ${REMOVED}; abc ${REMOVED}er`);
});
