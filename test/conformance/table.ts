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
    summary('tried', outcomes),
    oracle ? summary('reference', oracle) : '',
  ]
    .join('\n')
    .trimEnd();
}

const nameOf = (each: Case): string => `${each.id}: ${each.title}`;

function cell(outcomes: readonly Outcome[], one: Case, version: CniVersion): string {
  const outcome = outcomes.find((each) => each.case === one && each.version === version);
  return outcome ? signs[outcome.verdict] : '-';
}

function compared(one: Case, oracle: readonly Outcome[]): string {
  const asked = oracle.filter((each) => each.case === one);
  if (asked.length === 0) return 'has nothing of the kind';
  const failed = asked.find((each) => each.verdict === 'failed');
  if (failed) return 'CONTRADICTS';
  const differing = asked.find((each) => each.verdict === 'differs');
  return differing ? `differs: ${differing.reason}` : 'same';
}

const explained = ({ case: one, version, reason }: Outcome): string =>
  `FAIL ${nameOf(one)} (${version})\n${(reason ?? '').replaceAll(/^/gm, '     ')}\n`;

function summary(what: string, outcomes: readonly Outcome[]): string {
  const count = (verdict: Verdict) => outcomes.filter((each) => each.verdict === verdict).length;
  return `${what}: ${count('passed')} passed, ${count('failed')} failed, ${count('differs')} differ`;
}
