import assert from 'node:assert/strict';
import { test } from 'node:test';
import { field, parseObject } from '../../../json/object.ts';
import { Fields } from '../../../plugin/protocol/fields.ts';

// As Go 1.26's encoding/json decodes each into `struct { PublicIP string }`.
const cases: [text: string, name: string, found: unknown][] = [
  ['{"publicip":"1"}', 'PublicIP', '1'],
  ['{"PublicIP":"1","publicip":"2"}', 'PublicIP', '2'],
  ['{"publicip":"2","PublicIP":"1"}', 'PublicIP', '1'],
  ['{"PUBLICIP":"3","publicIP":"4","PublicIp":"5"}', 'PublicIP', '5'],
  ['{"\\u017fubnet":"1"}', 'Subnet', '1'],
  ['{"\\u212aey":"1"}', 'Key', '1'],
  ['{"public-ip":"1"}', 'PublicIP', undefined],
];

for (const [text, name, found] of cases) {
  test(`${text}, field ${name}: is ${found}, in records and in network configurations`, () => {
    const object = parseObject(text) ?? {};
    assert.equal(field(object, name), found);
    assert.equal(Fields.of(object, '').raw(name), found);
  });
}

for (const text of ['', '[]', 'null', '1', '{"a":']) {
  test(`JSON text ${JSON.stringify(text)}: is no object`, () => {
    assert.equal(parseObject(text), undefined);
  });
}
