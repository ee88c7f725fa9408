/** A few seconds of what `npm run fuzz` does for ten minutes. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { fuzz } from './fuzz.ts';

const seed = Number(process.env.WEFT_FUZZ_SEED ?? randomInt(2 ** 31));

describe('executables', () => {
  it(`random calls: each is answered as the specification says (WEFT_FUZZ_SEED=${seed})`, async (test) => {
    const { calls, byCode, finding } = await fuzz({ seed, seconds: 8 });
    test.diagnostic(`${calls} calls, ${byCode.size} kinds of answers`);
    assert.equal(finding, undefined);
    // A run that got nowhere proves nothing.
    const answers = [...byCode.keys()];
    assert.ok(answers.includes('ADD ok'), `no ADD succeeded in ${calls} calls`);
    assert.ok(answers.includes('DEL ok'), `no DEL succeeded in ${calls} calls`);
    assert.ok(
      answers.some((answer) => /^ADD \d+$/.test(answer)),
      `no ADD was refused in ${calls} calls`,
    );
  });
});
