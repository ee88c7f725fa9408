import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Part, PartOutcome, Pass } from '../../../agent/reconcile/part.ts';
import { Parts, planParts } from '../../../agent/reconcile/parts.ts';

const pass = { reasons: ['test'], reread: false, underlay: false, base: false };

/** A part that does what it is given, and records its passes. */
function part(name: string, run: () => PartOutcome | Promise<PartOutcome>) {
  const passes: Pass[] = [];
  const made: Part<string> = {
    name,
    plan: async () => ({ steps: (await run()).done, problems: [] }),
    reconcile: (_, given) => {
      passes.push(given);
      return run();
    },
  };
  return { made, passes };
}

const works = (name: string) => part(name, () => ({ done: [`${name} done`], problems: [] }));
const throws = (name: string) =>
  part(name, () => {
    throw new Error('no device');
  });
const rejects = (name: string) => part(name, () => Promise.reject(new Error('no disk')));

describe('pass over all parts', () => {
  for (const [how, bad] of Object.entries({ throws, rejects })) {
    it(`first part ${how}: the others run, the part and its error are the problem`, async () => {
      const parts = [bad('overlay IPv4'), works('bridges'), works('firewall')];
      const results = await new Parts(parts.map(({ made }) => made)).reconcile('', pass);
      assert.deepEqual(
        results.flatMap(({ done }) => done),
        ['bridges done', 'firewall done'],
      );
      assert.match(results.flatMap(({ problems }) => problems).join(), /^overlay IPv4: no d/);
      assert.deepEqual(parts[2]?.passes[0]?.failed, ['overlay IPv4']);
    });
  }

  it('every part throws: every one is run, with a problem of its own', async () => {
    const parts = ['a', 'b', 'c'].map(throws);
    const results = await new Parts(parts.map(({ made }) => made)).reconcile('', pass);
    assert.deepEqual(
      results.map(({ problems }) => problems),
      [['a: no device'], ['b: no device'], ['c: no device']],
    );
  });

  it('part that failed: retried after a wait of its own that grows, relying on nothing', async () => {
    const bad = throws('overlay');
    const parts = new Parts([bad.made, works('firewall').made], () => 0);
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) waits.push((await parts.reconcile('', pass))[0]?.retryInMs);
    assert.deepEqual(waits, [100, 200, 400]);
    assert.deepEqual(
      bad.passes.map(({ reread, base }) => [reread, base]),
      [
        [false, false],
        [true, true],
        [true, true],
      ],
    );
  });

  it('part that works again: no wait is left', async () => {
    let broken = true;
    const { made, passes } = part('overlay', () => {
      if (broken) throw new Error('no device');
      return { done: [], problems: [] };
    });
    const parts = new Parts([made]);
    await parts.reconcile('', pass);
    broken = false;
    assert.equal((await parts.reconcile('', pass))[0]?.retryInMs, undefined);
    await parts.reconcile('', pass);
    assert.equal(passes[2]?.reread, false);
  });
});

describe('preview of all parts', () => {
  it('one part throws: its error is a problem, the others are planned', async () => {
    const parts = [throws('overlay'), works('bridges'), rejects('firewall')];
    assert.deepEqual(
      await planParts(
        parts.map(({ made }) => made),
        '',
      ),
      { steps: ['bridges done'], problems: ['overlay: no device', 'firewall: no disk'] },
    );
  });
});
