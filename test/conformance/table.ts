/** The report: one line per case, one column per version, and what the reference does. */
import { type CniVersion, cniVersions } from '../../plugin/protocol/version.ts';
import type { Case } from './case.ts';
import type { Outcome, Verdict } from './suite.ts';

const signs: Readonly<Record<Verdict, string>> = { passed: 'ok', failed: 'FAIL', differs: 'differs' };

const columnWidth = 6;

/** `oracle`: the same cases on the reference; undefined where it was not asked. */
export function report(outcomes: readonly Outcome[], oracle?: readonly Outcome[]): string {
  const cases = [...new Set(outcomes.map((each) => each.case))];
  const titleWidth = Math.max(...cases.map((each) => nameOf(each).length));
  const head = [' '.repeat(titleWidth), ...cniVersions.map((each) => each.padEnd(columnWidth)), 'reference'];
  const rows = cases.map((each) =>
    [
      nameOf(each).padEnd(titleWidth),
      ...cniVersions.map((version) => cell(outcomes, each, version).padEnd(columnWidth)),
      oracle ? compared(each, oracle) : '',
    ].join(' '),
  );
  const failures = [...outcomes, ...(oracle ?? [])].filter((each) => each.verdict === 'failed');
  return [
    head.join(' '),
    ...rows,
    '',
    ...failures.map(explained),
    ...summaries([...outcomes, ...(oracle ?? [])]),
  ]
    .join('\n')
    .trimEnd();
}

const nameOf = (each: Case): string => `${each.id}: ${each.title}`;

/** What became of it, at the worst of the ways it was tried. */
function cell(outcomes: readonly Outcome[], one: Case, version: CniVersion): string {
  const verdicts = outcomes
    .filter((each) => each.case === one && each.version === version)
    .map((each) => each.verdict);
  const worst = (['failed', 'differs', 'passed'] as const).find((each) => verdicts.includes(each));
  return worst ? signs[worst] : '-';
}

function compared(one: Case, oracle: readonly Outcome[]): string {
  const asked = oracle.filter((each) => each.case === one);
  if (asked.length === 0) return 'has nothing of the kind';
  const failed = asked.find((each) => each.verdict === 'failed');
  if (failed) return 'CONTRADICTS';
  const differing = asked.find((each) => each.verdict === 'differs');
  return differing ? `differs: ${differing.reason}` : 'same';
}

export const explained = ({ subject, case: one, version, reason }: Outcome): string =>
  `FAIL ${nameOf(one)} (${subject.name}, ${version})\n${(reason ?? '').replaceAll(/^/gm, '     ')}\n`;

/** One line per subject. */
function summaries(outcomes: readonly Outcome[]): string[] {
  const names = [...new Set(outcomes.map((each) => each.subject.name))];
  return names.map((name) => {
    const count = (verdict: Verdict) =>
      outcomes.filter((each) => each.subject.name === name && each.verdict === verdict).length;
    return `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('differs')} differ`;
  });
}
