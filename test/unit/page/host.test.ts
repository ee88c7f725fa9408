import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAddressed } from '../../../agent/serve/http.ts';

test('Host header: addresses and localhost are accepted, with a port or without; names are not', () => {
  for (const host of [
    undefined,
    '127.0.0.1',
    '127.0.0.1:9472',
    '[::1]:9472',

    'localhost',
    'localhost:1',
  ]) {
    assert.equal(isAddressed(host), true, host);
  }
  for (const host of [
    '',
    'evil.example',
    'evil.example:9472',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
  ]) {
    assert.equal(isAddressed(host), false, host);
  }
});
