/** A few seconds of what `npm run fuzz` does for ten minutes. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { fuzz } from './fuzz.ts';

const seed = Number(process.env.WEFT_FUZZ_SEED ?? randomInt(2 ** 31));

describe('the executables', () => {
  it(`answer whatever they are called with (WEFT_FUZZ_SEED=${seed})`, async (test) => {
    const { calls, byCode, finding } = await fuzz({ seed, seconds: 8 });
    test.diagnostic(`${calls} calls, ${byCode.size} kinds of answers`);
    assert.equal(finding, undefined);
  });
});
