import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { definitions } from '../../../agent/lease/store/etcd/definitions.ts';
import { Codec } from '../../../agent/lease/store/etcd/wire.ts';

const codec = new Codec(definitions);
const kv = {
  key: Buffer.from('/coreos.com/network/subnets/10.244.1.0-24'),
  createRevision: '7',
  modRevision: '9007199254740993',
  version: '1',
  value: Buffer.from('{"PublicIP":"192.168.188.101"}'),
  lease: '7587871234567890123',
};

/** The package that everybody reads and writes these messages with. */
function oracle(name: string): protobuf.Type {
  const { resolve } = createRequire(import.meta.url);
  const root = new protobuf.Root();
  for (const file of ['kv', 'auth', 'rpc']) {
    protobuf.parse(readFileSync(resolve(`etcd3/proto/${file}.proto`), 'utf8'), root, { keepCase: false });
  }
  return root.lookupType(name);
}

const shape = { longs: String, enums: Number, bytes: Buffer };

const samples: readonly (readonly [name: string, value: object])[] = [
  ['RangeRequest', { key: Buffer.from('a'), rangeEnd: Buffer.from('b'), limit: '-1', serializable: true }],
  [
    'RangeResponse',
    { header: { revision: '18446744073709' }, kvs: [kv, { ...kv, lease: '-3' }], more: true },
  ],
  [
    'TxnRequest',
    {
      compare: [{ result: 0, target: 2, key: Buffer.from('k'), modRevision: '0' }],
      success: [
        { requestPut: { key: Buffer.from('ä'), value: Buffer.alloc(300, 'x'), lease: kv.lease } },
        { requestDeleteRange: { key: Buffer.from('d') } },
      ],
    },
  ],
  ['TxnResponse', { succeeded: true, responses: [{ responseRange: { kvs: [kv] } }] }],
  ['WatchRequest', { createRequest: { key: Buffer.from('a'), startRevision: '5', fragment: true } }],
  ['WatchRequest', { progressRequest: {} }],
  [
    'WatchResponse',
    { watchId: '-1', compactRevision: '9', cancelReason: 'über', events: [{ type: 1, kv }, { kv }] },
  ],
  ['AuthenticateRequest', { name: 'weft', password: 'correct horse' }],
  ['LeaseKeepAliveResponse', { ID: kv.lease, TTL: '15' }],
];

for (const [name, value] of samples) {
  test(`a ${name} is written and read as protobuf's own library does it`, () => {
    const type = oracle(`etcdserverpb.${name}`);
    const bytes = Buffer.from(type.encode(type.fromObject(value)).finish());
    assert.deepEqual(
      type.toObject(type.decode(codec.encode(name, value)), shape),
      type.toObject(type.decode(bytes), shape),
    );
    const { message, said } = withoutDefaults(
      codec.decode(name, bytes),
      type.toObject(type.decode(bytes), shape),
    );
    assert.deepEqual(message, said);
  });
}

/** Of both, what the message says; the codec gives every field a value. */
function withoutDefaults(message: unknown, said: unknown): { message: unknown; said: unknown } {
  const keep = (given: unknown, pattern: unknown): unknown => {
    if (Array.isArray(pattern) && Array.isArray(given)) return given.map((one, n) => keep(one, pattern[n]));
    if (Buffer.isBuffer(pattern) || typeof pattern !== 'object' || pattern === null) return given;
    return Object.fromEntries(
      Object.entries(pattern).map(([name, inner]) => [
        name,
        keep((given as Record<string, unknown>)[name], inner),
      ]),
    );
  };
  return { message: keep(message, said), said };
}

test('a field that a message does not have says what protobuf has it say; one that is not known is passed over', () => {
  const extended = Buffer.concat([
    Buffer.from([0xa2, 0x06, 3, 1, 2, 3]), // 100: three bytes
    Buffer.from([0xa8, 0x06, 0x96, 0x01]), // 101: a number
    Buffer.from([0xb1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]), // 102: 64 bits
    Buffer.from([0xbd, 0x06, 1, 2, 3, 4]), // 103: 32 bits
    Buffer.from([0x18, 15]), // TTL
  ]);
  const { ID, TTL } = codec.decode('LeaseKeepAliveResponse', extended) as { ID: string; TTL: string };
  assert.deepEqual([ID, TTL], ['0', '15']);
  const empty = codec.decode('RangeResponse', Buffer.alloc(0)) as Record<string, unknown>;
  assert.deepEqual([empty.header, empty.kvs, empty.more], [undefined, [], false]);
});

test('bytes that end too early are no message', () => {
  const whole = codec.encode('RangeResponse', { kvs: [kv] });
  for (let length = 1; length < whole.length; length++) {
    assert.throws(
      () => codec.decode('RangeResponse', whole.subarray(0, length)),
      RangeError,
      `${length} bytes`,
    );
  }
  assert.throws(() => codec.decode('RangeResponse', Buffer.from([0x0b])), /wire type 3/);
});
