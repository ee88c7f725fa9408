/**
 * Random input for a relay that the sanitizers watch: configurations, environments and agents' answers, most of
 * them nearly right. For a few seconds, or as many as WEFT_FUZZ_SECONDS says (`npm run fuzz:relay`).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { encodeAnswer } from '../../plugin/contract/wire.ts';
import { RelayGround } from './relay.ts';

const seconds = Number(process.env.WEFT_FUZZ_SECONDS ?? 5);
const ground = new RelayGround({ answerSeconds: 1, kind: 'sanitized' });
after(() => ground.remove());

const seed = Number(process.env.WEFT_FUZZ_SEED ?? randomInt(2 ** 31));

/** mulberry32: small, and the same for the same seed. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const random = randomFrom(seed);
const oneOf = <T>(choices: readonly [T, ...T[]]): T => choices[random(choices.length)] ?? choices[0];

/** Bytes with a few of them changed, cut out, doubled or cut off. */
function damaged(bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = random(4); changes > 0; changes--) {
    const at = random(result.length + 1);
    const end = Math.min(result.length, at + random(8));
    const parts = oneOf([
      [result.subarray(0, at), Buffer.from([random(256)]), result.subarray(at + 1)],
      [result.subarray(0, at), result.subarray(end)],
      [result.subarray(0, end), result.subarray(at)],
      [result.subarray(0, at)],
    ]);
    result = Buffer.concat(parts);
  }
  return result;
}

const configuration = (): Buffer =>
  damaged(
    Buffer.from(
      oneOf(['', '{"cniVersion":"1.0.0"}', '{ "cniVersion" : "0.3.1", "name":"a"}', '"cniVersion"']),
    ),
  );

const response = (): Buffer =>
  damaged(
    encodeAnswer({ status: random(256), stdout: 'x'.repeat(random(300)), stderr: 'y'.repeat(random(300)) }),
  );

/** What a variable may hold: no NUL, and the kernel takes no more than 128 KiB of one. */
const variable = (): string =>
  oneOf(['', '=', 'a'.repeat(random(2000)), 'ü'.repeat(random(9)), 'z'.repeat(70_000)]);

describe('a relay', () => {
  it(`withstands what is thrown at it (WEFT_FUZZ_SEED=${seed})`, async () => {
    const behaviours = ['answer', 'answer', 'answer', 'close'] as const;
    const end = performance.now() + seconds * 1000;
    const statuses = new Set<number | null>();
    await ground.listening(
      (socket) => {
        if (oneOf(behaviours) === 'close') socket.destroy();
        else {
          socket.resume();
          socket.end(response());
        }
      },
      async () => {
        // At least until a call has succeeded and one has failed: a run that got nowhere proves nothing.
        while (performance.now() < end || !statuses.has(0) || statuses.size < 2) {
          const verb = oneOf(['ADD', 'DEL', 'VERSION', 'STATUS', '', 'x']);
          const ran = await ground.run({ verb, stdin: configuration(), env: { CNI_ARGS: variable() } });
          const told = `${verb}: ${ran.signal} ${ran.status} ${ran.stderr}`;
          assert.equal(ran.signal, null, told);
          statuses.add(ran.status);
          assert.doesNotMatch(ran.stderr, /Sanitizer|runtime error/, told);
        }
      },
    );
  });
});
