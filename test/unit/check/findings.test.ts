import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsIn } from '../../../scripts/check/findings.ts';
import { piecesOf } from '../../../scripts/check/pieces.ts';

const rows: [what: string, source: string, pieces: string[]][] = [
  ['strings of each kind', `const a = 'x' + "y" + \`z\`;`, ['x', 'y', 'z']],
  [
    'template with expressions',
    ['f(`a', '{b + `c', '{d}e`}f', '{ {g: 1}.g }h`)'].join('$'),
    ['a', 'c', 'e', 'f', 'h'],
  ],
  ['comments', '// one\n/* two */ a / b / c', [' one', ' two ']],
  ['quotes in a regular expression', `x.replace(/['"]/g, 'q')`, ['q']],
  ['slash after a call', `f() / 2; g('a' / b)`, ['a']],
  ['escaped quotes', String.raw`a('it\'s'); b("c")`, [String.raw`it\'s`, 'c']],
  ['comment signs in a string', `a('// no comment')`, ['// no comment']],
];
for (const [what, source, expected] of rows) {
  test(`source with ${what}: every string and comment is found, nothing else`, () => {
    assert.deepEqual(
      piecesOf(source).map(({ text }) => text),
      expected,
    );
  });
}

const findings: [what: string, source: string, lines: number[]][] = [
  ['a banned word in a string', `a();\nthrow new Error('whoever it is');`, [2]],
  ['a banned word in a template', ['`the way ', '{x} is to be had`'].join('$'), [1]],
  ['banned words of two forms', "a('the port is had');\nb('had by another');", [1, 2]],
  ['a banned word in a comment', '// whoever', []],
  ['a curly apostrophe', "'it\u2019s'", [1]],
  ['a long comment', `a();\n// ${'x'.repeat(120)}`, [2]],
  ['a long string of two findings', `'${'x'.repeat(120)}' + 'b'`, [1]],
  ['nothing to find', "'failed to bind UDP port 8472: in use'", []],
];
for (const [what, source, lines] of findings) {
  test(`source with ${what}: found at ${lines.length ? `line ${lines}` : 'no line'}`, () => {
    assert.deepEqual(
      findingsIn(source).map(({ line }) => line),
      lines,
    );
  });
}
