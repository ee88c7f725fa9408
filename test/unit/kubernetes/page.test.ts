/** A page of a list as the API server writes it, and as anything else might. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../kubernetes/json.ts';
import { readPage } from '../../../kubernetes/page.ts';

const read = (text: string) => readPage(Buffer.from(text), (object: JsonObject) => object);
const list = (items: unknown): string =>
  JSON.stringify({
    kind: 'NodeList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '7', continue: 'x' },
    items,
  });

const lists: readonly (readonly [string, readonly object[]])[] = [
  ['no objects', []],
  ['one object', [{ metadata: { name: 'a' } }]],
  [
    'several objects',
    [{ metadata: { name: 'a' }, spec: {} }, { metadata: { name: 'b' } }, { metadata: { name: 'c' } }],
  ],
  ['the bytes between two objects inside a text', [{ metadata: { a: '},{"metadata":{' } }, { metadata: {} }]],
  ['a closing bracket inside a text', [{ metadata: { a: ']}' } }, { metadata: { a: '"items":[' } }]],
  [
    'objects with lists of objects that have metadata',
    [
      { metadata: {}, templates: [{ metadata: { name: 'x' } }, { metadata: { name: 'y' } }] },
      { metadata: {} },
    ],
  ],
  [
    'objects that do not begin with metadata',
    [
      { kind: 'Node', metadata: { name: 'a' } },
      { spec: {}, metadata: {} },
    ],
  ],
  ['text beyond ASCII', [{ metadata: { name: 'ä→😀' } }, { metadata: { name: 'ß' } }]],
];

for (const [what, items] of lists) {
  test(`list with ${what}: the same objects as of the whole page`, () => {
    for (const text of [list(items), `${list(items)}\n`, JSON.stringify(JSON.parse(list(items)), null, 2)]) {
      const page = read(text);
      assert.deepEqual(page?.items, items);
      assert.equal(page?.kind, 'NodeList');
      assert.deepEqual(page?.metadata, { resourceVersion: '7', continue: 'x' });
    }
  });
}

test('list whose objects are null: empty', () => {
  assert.deepEqual(read(list(null))?.items, []);
});

test('list with its objects first: read as a whole', () => {
  const items = [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }];
  assert.deepEqual(read(JSON.stringify({ items, kind: 'NodeList', metadata: {} }))?.items, items);
});

test('text that is not a list, or half of one: none', () => {
  const whole = list([{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }]);
  for (const text of [
    '',
    '{}',
    '[]',
    '{"items":{}}',
    'items',
    '"items":[]}',
    whole.slice(0, -1),
    whole.slice(0, -9),
  ]) {
    assert.equal(read(text), undefined, text);
  }
});

test('digest that throws: its error is thrown', () => {
  assert.throws(
    () =>
      readPage(Buffer.from(list([{ metadata: {} }])), () => {
        throw new Error('not a Node');
      }),
    /not a Node/,
  );
});
