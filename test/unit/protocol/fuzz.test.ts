/**
 * Any call gets an answer: JSON or nothing on stdout, status 0 or 1, no exception, no stack trace.
 * `WEFT_FUZZ_SEED` and `WEFT_FUZZ_ROUNDS` make it another run or a longer one.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answer } from '../../../plugin/protocol/answer.ts';
import { nearlyRight, noise, Random } from './mutate.ts';
import { assertWellFormed, plugin } from './plugin.ts';

const seed = Number(process.env.WEFT_FUZZ_SEED ?? 1);
const rounds = Number(process.env.WEFT_FUZZ_ROUNDS ?? 4000);

async function fuzz(makeCall: typeof noise): Promise<{ accepted: number; codes: Set<number> }> {
  let accepted = 0;
  const codes = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    const call = makeCall(new Random(seed * 1_000_003 + round));
    const target = plugin();
    try {
      const answered = await answer(call, target.verbs);
      assertWellFormed(answered);
      assert.equal(answered.status === 0 || target.calls.length === 0, true, 'refused after work was done');
      accepted += answered.status === 0 ? 1 : 0;
      if (answered.status === 1) codes.add(JSON.parse(answered.stdout).code);
    } catch (error) {
      const stdin = Buffer.from(call.stdin).toString('latin1');
      throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify({ ...call, stdin })}`, {
        cause: error,
      });
    }
  }
  return { accepted, codes };
}

describe('any call', () => {
  it('that is nearly right is accepted or refused for a reason that is named', async () => {
    const { accepted, codes } = await fuzz(nearlyRight);
    assert.ok(accepted > 0, 'the generator makes no call that is right');
    assert.ok(codes.size > 0, 'the generator makes no call that is refused');
    assert.ok(!codes.has(999), 'something that was not foreseen was thrown');
  });
  it('that is noise is answered', async () => {
    const { codes } = await fuzz(noise);
    assert.ok(codes.size > 0, 'no call was made, or none was refused');
    assert.ok(!codes.has(999), 'something that was not foreseen was thrown');
  });
});
