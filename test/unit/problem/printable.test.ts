import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable, quoted } from '../../../problem/printable.ts';

test('text from outside: control and direction characters are escaped, the rest stays', () => {
  assert.equal(printable('node-1 zürich 東京 ✓'), 'node-1 zürich 東京 ✓');
  assert.equal(printable('\u001b[2J\u0007\n\u009b1m'), '\\u{1b}[2J\\u{7}\\u{a}\\u{9b}1m');
  assert.equal(printable('a\u202eb\u200bc\ud800'), 'a\\u{202e}b\\u{200b}c\\u{d800}');
});

test('long text from outside: cut with a sign that it was', () => {
  assert.equal(printable('x'.repeat(200), 10), `${'x'.repeat(10)}...`);
});

test('quoted text from outside: its own quotation marks are escaped', () => {
  assert.equal(quoted('a"b\u001b'), '"a\\"b\\u{1b}"');
});
