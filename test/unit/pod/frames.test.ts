import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { Beginning, copyFrames } from '../../../pod/docker/frames.ts';
import { linesOf } from '../../../pod/docker/lines.ts';

const frame = (kind: number, text: string): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('multiplexed stream', () => {
  const bytes = Buffer.concat([
    frame(1, 'out'),
    frame(2, 'err'),
    frame(1, ''),
    frame(0, 'in'),
    frame(1, 'é\n'),
  ]);
  for (const size of [1, 3, 8, 11, 1000]) {
    it(`chunks of ${size} bytes: every frame reaches its output whole`, async () => {
      const stdout = new Beginning(100);
      const stderr = new Beginning(100);
      await copyFrames(chunks(bytes, size), { stdout, stderr });
      assert.deepEqual([stdout.text, stderr.text], ['outiné\n', 'err']);
    });
  }

  it('10 000 frames in one chunk: copied without recursion', async () => {
    const stdout = new Beginning(1e6);
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => frame(1, 'a line\n')));
    await copyFrames(chunks(many, many.length), { stdout, stderr: stdout });
    assert.equal(stdout.text.length, 70_000);
  });

  it('slow reader: no further chunk is read before the last was taken', async () => {
    const slow = new PassThrough({ highWaterMark: 1 });
    let read = 0;
    async function* source() {
      for (; read < 10; read++) yield frame(1, 'x'.repeat(100));
    }
    const done = copyFrames(source(), { stdout: slow, stderr: slow });
    await new Promise(setImmediate);
    assert.ok(read <= 1, `${read} chunks were read`);
    slow.resume();
    await done;
    assert.equal(read, 10);
  });

  it('closed reader: rejects with the error of the write', async () => {
    const closed = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('closed'), { code: 'EPIPE' })),
    });
    const copied = copyFrames(chunks(frame(1, 'x'.repeat(100)), 200), { stdout: closed, stderr: closed });
    await assert.rejects(copied, /closed/);
  });

  it('no frames: refused', async () => {
    const sink = new Beginning(10);
    await assert.rejects(
      copyFrames(chunks(Buffer.from('a plain text'), 4), { stdout: sink, stderr: sink }),
      /type 97/,
    );
  });

  it('more than is kept: the beginning is kept', async () => {
    const sink = new Beginning(5);
    await copyFrames(chunks(Buffer.concat([frame(1, 'abc'), frame(2, 'defgh')]), 4), {
      stdout: sink,
      stderr: sink,
    });
    assert.equal(sink.text, 'abcde');
  });
});

describe('lines of a stream', () => {
  const of = async (text: string, size: number): Promise<string[]> => {
    const lines: string[] = [];
    for await (const line of linesOf(chunks(Buffer.from(text), size))) lines.push(line);
    return lines;
  };
  for (const size of [1, 2, 100]) {
    it(`chunks of ${size} bytes: lines are whole, letters too`, async () =>
      assert.deepEqual(await of('{"a":"é"}\n{}\nrest', size), ['{"a":"é"}', '{}', 'rest']));
  }
});
