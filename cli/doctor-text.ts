/** What `weftctl doctor` found, as text for a terminal of 80 columns and as data. */
import type { Examined } from '../agent/doctor/doctor.ts';
import type { Finding, Severity } from '../agent/doctor/finding.ts';
import { printable } from '../problem/printable.ts';
import type { Paint, Style } from './colour.ts';
import { wrapped } from './wrapped.ts';

const WIDTH = 80;
const severities = ['failed', 'warning', 'unknown', 'ok'] as const satisfies readonly Severity[];

const styles = {
  failed: 'red',
  warning: 'yellow',
  unknown: 'dim',
  ok: 'green',
} as const satisfies Record<Severity, Style>;
const plain: Paint = (_style, text) => text;

export interface DoctorTextOptions {
  /** Also what is not known. */
  readonly all: boolean;
  readonly paint?: Paint;
}

/** One line per check that is well; for what is not, what was found and wanted, and the command that mends it. */
export function doctorText(examined: readonly Examined[], options: DoctorTextOptions): string {
  const lines = examined.flatMap(({ check, findings }) =>
    findings.flatMap((finding, i) =>
      findingLines(check.title, finding, { ...options, before: findings[i - 1], after: findings[i + 1] }),
    ),
  );
  return [...lines, '', summary(examined), ''].join('\n');
}

/** What is unknown is counted only, unless all is asked for: on most hosts some of it is. */
function findingLines(
  title: string,
  finding: Finding,
  {
    all,
    paint = plain,
    before,
    after,
  }: DoctorTextOptions & { before: Finding | undefined; after: Finding | undefined },
): string[] {
  const { severity, subject, found, wanted, remedy } = finding;
  if (severity === 'unknown' && !all) return [];
  const mark = severity.padEnd(8);
  const about = subject === undefined || severity === 'ok' ? title : `${title}: ${printable(subject)}`;
  const detail = (name: string, text: string | undefined): string[] =>
    text === undefined
      ? []
      : wrapped(`${name}: ${printable(text, 600)}`, { width: WIDTH, indent: 10, hang: 8 });
  if (severity === 'ok') {
    const [first = '', ...rest] = wrapped(`${mark}${about}: ${printable(found, 600)}`, {
      width: WIDTH,
      indent: 0,
      hang: 10,
    });
    return [paint(styles.ok, mark) + first.slice(mark.length), ...rest];
  }
  return [
    ...(isOfOneKind(before, finding) ? [] : [`${paint(styles[severity], mark)}${about}`]),
    ...detail('found', found),
    ...(isOfOneKind(finding, after) ? [] : [...detail('wanted', wanted), ...detail('remedy', remedy)]),
  ];
}

/** Several of one cause, with one remedy: it is said once. */
const isOfOneKind = (a: Finding | undefined, b: Finding | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.severity === b.severity &&
  a.subject === b.subject &&
  a.wanted === b.wanted &&
  a.remedy === b.remedy &&
  a.remedy !== undefined;

function summary(examined: readonly Examined[]): string {
  const findings = examined.flatMap((each) => each.findings);
  const counts = severities.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count ? [`${count} ${severity}`] : [];
  });
  const hidden = findings.some(({ severity }) => severity === 'unknown')
    ? ' (--all shows what is unknown)'
    : '';
  return `${counts.join(', ')}${hidden}`;
}

export const doctorReport = (examined: readonly Examined[]) => ({
  findings: examined.flatMap(({ check, findings }) =>
    findings.map(({ fix, ...finding }) => ({
      check: check.name,
      ...finding,
      ...(fix ? { fix: fix.text } : {}),
    })),
  ),
});
