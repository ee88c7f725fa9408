/** A few rounds; `npm run test:nightly` makes it a thousand, and WEFT_STORM_SEED makes one of them again. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { storm } from './storm.ts';

const seed = Number(process.env.WEFT_STORM_SEED ?? randomInt(2 ** 31));
const rounds = Number(process.env.WEFT_STORM_ROUNDS ?? 4);

describe('100 ADDs and DELs at once, with kills at random', () => {
  it(`give no address twice and leave nothing (WEFT_STORM_SEED=${seed})`, async (test) => {
    const report = await storm({
      seed,
      rounds,
      onRound: (so) => so.rounds % 50 === 0 && test.diagnostic(`round ${so.rounds} of ${rounds}`),
    });
    const { calls, killedCalls, killedAgents, attached } = report;
    test.diagnostic(
      `${report.rounds} rounds, ${calls} calls, ${killedCalls} of them killed, the agent ${killedAgents} times; ${attached} addresses compared`,
    );
    assert.equal(report.finding, undefined);
    assert.ok(calls > 0 && attached > 0, 'no address was compared');
    assert.ok(killedCalls + killedAgents > 0, 'nothing was killed');
  });
});
