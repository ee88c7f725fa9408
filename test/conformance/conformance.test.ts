/**
 * Every case, done by an agent in one version for each shape that a result has, and by the standalone plugin, whose
 * work is the same code's, in the newest. `npm run conformance` tries them all, and the reference plugins.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import type { CniVersion } from '../../plugin/protocol/version.ts';
import { loopbackCases } from './cases/loopback.ts';
import { loopback, weft, weftByAgent } from './subject.ts';
import { allCases, runSuite } from './suite.ts';
import { explained } from './table.ts';

const parallel = availableParallelism();

const newest = (versions: readonly CniVersion[]) => versions.slice(-1);

const shapes: readonly CniVersion[] = ['0.2.0', '0.4.0', '1.1.0'];
const eachShape = (versions: readonly CniVersion[]) => {
  const found = versions.filter((version) => shapes.includes(version));
  return found.length > 0 ? found : newest(versions);
};

/** What the specification and the reference ask for, and where it is shown if not by a case. */
const checklist = [
  ...Array.from({ length: 20 }, (_, i) => `E${i + 1}`),
  ...Array.from({ length: 6 }, (_, i) => `A${i + 1}`),
  ...Array.from({ length: 6 }, (_, i) => `D${i + 1}`),
];
const elsewhere: Readonly<Record<string, string>> = {
  E17: "test/kernel/attach/mishaps.test.ts: the kernel's refusals are 999, in its words",
  E20: 'test/package: what is installed is put in place by rename',
};

describe('CNI conformance', () => {
  it('checklist of the specification: every requirement has a case', () => {
    const shown = new Set([...allCases.map(({ id }) => id), ...Object.keys(elsewhere)]);
    assert.deepEqual(
      checklist.filter((id) => !shown.has(id)),
      [],
    );
  });

  for (const { subject, cases = allCases, versions } of [
    { subject: weftByAgent, versions: eachShape },
    { subject: weft, versions: newest },
    { subject: loopback, cases: loopbackCases },
  ]) {
    it(`${subject.name}: every case passes`, async (test) => {
      const outcomes = await runSuite({ subject, cases, parallel, ...(versions && { versions }) });
      const failed = outcomes.filter((each) => each.verdict === 'failed');
      test.diagnostic(`${outcomes.length} trials of ${cases.length} cases, ${failed.length} failed`);
      assert.deepEqual(failed.map(explained), []);
    });
  }
});
