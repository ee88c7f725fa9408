/** Runs cases, each on a ground of its own, and says what became of them. */
import type { CniVersion } from '../../plugin/protocol/version.ts';
import { cniVersions } from '../../plugin/protocol/version.ts';
import type { Case } from './case.ts';
import { addDelCases } from './cases/add-del.ts';
import { addressingCases } from './cases/addressing.ts';
import { chainCases } from './cases/chain.ts';
import { checkGcCases } from './cases/check-gc.ts';
import { dispatchCases } from './cases/dispatch.ts';
import { keyCases } from './cases/keys.ts';
import { optionCases } from './cases/options.ts';
import { resultCases } from './cases/results.ts';
import { trafficCases } from './cases/traffic.ts';
import { Ground } from './ground.ts';
import type { Subject } from './subject.ts';
import { Trial } from './trial.ts';

export const allCases: readonly Case[] = [
  ...dispatchCases,
  ...resultCases,
  ...addDelCases,
  ...keyCases,
  ...checkGcCases,
  ...optionCases,
  ...addressingCases,
  ...trafficCases,
  ...chainCases,
];

export type Verdict = 'passed' | 'failed' | 'differs';

export interface Outcome {
  readonly subject: Subject;
  readonly case: Case;
  readonly version: CniVersion;
  readonly verdict: Verdict;
  /** Why it failed, or in what it differs. */
  readonly reason?: string;
}

/** What the reference of Debian 12 does not speak yet. */
const unknownToReference: readonly CniVersion[] = ['1.1.0'];

export interface SuiteOptions {
  readonly subject: Subject;
  readonly cases: readonly Case[];
  /** How many trials at once. */
  readonly parallel: number;
  /** Of a case's versions; default: all. */
  readonly versions?: (versions: readonly CniVersion[]) => readonly CniVersion[];
  readonly onOutcome?: (outcome: Outcome) => void;
}

/** In the order of cases and versions. */
export async function runSuite(options: SuiteOptions): Promise<Outcome[]> {
  const { subject, cases, parallel, versions = (all) => all, onOutcome } = options;
  const trials = cases.flatMap((each) =>
    versions(versionsOf(each, subject)).map((version) => ({ subject, case: each, version })),
  );
  const outcomes: Outcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < trials.length; i = next++) {
      const trial = trials[i];
      if (!trial) return;
      const outcome = { ...trial, ...(await judge(trial)) };
      outcomes[i] = outcome;
      onOutcome?.(outcome);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return outcomes;
}

function versionsOf(each: Case, subject: Subject): readonly CniVersion[] {
  const versions = each.versions ?? cniVersions;
  if (!subject.oracle) return versions;
  return each.oursAlone ? [] : versions.filter((version) => !unknownToReference.includes(version));
}

async function judge(about: {
  subject: Subject;
  case: Case;
  version: CniVersion;
}): Promise<Pick<Outcome, 'verdict' | 'reason'>> {
  const { subject } = about;
  const ground = await Ground.open();
  const trial = new Trial({ ground, subject, version: about.version });
  try {
    await subject.furnish?.(ground);
    await about.case.run(trial);
    const [difference] = trial.differences;
    return difference ? { verdict: 'differs', reason: difference } : { verdict: 'passed' };
  } catch (error) {
    const { differs } = about.case;
    if (trial.isReference && differs) return { verdict: 'differs', reason: differs };
    return { verdict: 'failed', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await ground.close();
  }
}
