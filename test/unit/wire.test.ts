/** The CNI socket's wire format: whatever the pieces in which it arrives, and whatever arrives instead. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  limits,
  RequestReader,
  WireError,
} from '../../plugin/contract/wire.ts';
import type { PluginCall } from '../../plugin/protocol/call.ts';

const call: PluginCall = {
  env: { CNI_COMMAND: 'ADD', CNI_NETNS: '/run/netns/ä', CNI_ARGS: 'A=1;B=2', CNI_PATH: '' },
  stdin: Buffer.from('{"cniVersion":"1.1.0"}'),
};

/** A request with some of its bytes replaced. */
function altered(offset: number, bytes: readonly number[]): Buffer {
  const request = encodeRequest(call);
  request.set(bytes, offset);
  return request;
}

describe('a request', () => {
  it('is the same after the wire', () => {
    assert.deepEqual(decodeRequest(encodeRequest(call)), call);
  });

  it('has the bytes that the documentation says', () => {
    const bytes = encodeRequest({ env: { A: 'b' }, stdin: Buffer.from('{}') });
    assert.equal(bytes.toString('latin1'), 'WEFT\x01\0\0\0\x04\0\0\0\x02\0\0\0A=b\0{}');
  });

  it('arrives in pieces of any size', () => {
    const bytes = encodeRequest(call);
    for (let size = 1; size < bytes.length; size++) {
      const reader = new RequestReader();
      const calls: PluginCall[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        const whole = reader.push(bytes.subarray(at, at + size));
        if (whole) calls.push(whole);
      }
      assert.deepEqual(calls, [call]);
    }
  });

  const refused: Readonly<Record<string, Buffer>> = {
    'that is not one': Buffer.from('GET / HTTP/1.1\r\n'),
    'with more environment than allowed': altered(8, [0, 0, 0, 1]),
    'with more stdin than allowed': altered(12, [0, 0, 0, 255]),
    'with bytes after it': Buffer.concat([encodeRequest(call), Buffer.from([0])]),
    'that ends early': encodeRequest(call).subarray(0, -1),
    'with a variable that has no value': encodeRequest({ env: { '': 'x' }, stdin: Buffer.alloc(0) }),
    'whose environment is not terminated': altered(8, [Buffer.byteLength('CNI_COMMAND=ADD'), 0, 0, 0]),
  };
  for (const [which, bytes] of Object.entries(refused)) {
    it(`${which} is refused`, () => {
      assert.throws(() => decodeRequest(bytes), WireError);
    });
  }

  it('of another version says so, so that the relay can be told', () => {
    assert.throws(
      () => decodeRequest(altered(4, [2])),
      (error) => error instanceof WireError && error.otherVersion,
    );
  });
});

describe('a response', () => {
  const answer = { status: 1, stdout: '{"code":11}\n', stderr: 'größer\n' };

  it('is the same after the wire', () => {
    assert.deepEqual(decodeAnswer(encodeAnswer(answer)), answer);
  });

  it('cuts the words for people, never the result', () => {
    const long = { status: 0, stdout: 'x'.repeat(limits.bodyBytes - 1), stderr: 'abc' };
    assert.deepEqual(decodeAnswer(encodeAnswer(long)), { ...long, stderr: 'a' });
    assert.throws(() => encodeAnswer({ ...long, stdout: 'x'.repeat(limits.bodyBytes + 1) }), RangeError);
  });

  it('that is torn is refused', () => {
    const bytes = encodeAnswer(answer);
    for (const length of [0, 4, 15, 16, bytes.length - 1]) {
      assert.throws(() => decodeAnswer(bytes.subarray(0, length)), WireError);
    }
  });
});
