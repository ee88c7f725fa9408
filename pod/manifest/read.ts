/**
 * The text of a manifest file → pods. Pure: every problem is found and placed, none is thrown singly. What weft does
 * not know of is taken out with a warning that names it.
 */
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import type { core } from 'zod/mini';
import { offsetOf } from '../../problem/document.ts';
import { faultsOf, inGeneral } from '../../problem/explain.ts';
import { type Fault, formatField, formatProblem, type Problem } from '../../problem/problem.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import { podOf } from './convert.ts';
import { keysAt, prune } from './known-keys.ts';
import { keyOf, type Pod, titleOf } from './pod.ts';
import { faultsBetween } from './rules.ts';
import { podShape, type ReadPod } from './schema.ts';
import { warningsOf } from './warnings.ts';

export interface Manifest {
  /** In the order of the documents; never empty. */
  readonly pods: readonly Pod[];
  /** A line each: place in the file, field, what is ignored. */
  readonly warnings: readonly string[];
}

/**
 * Reads a file of one or more YAML (or JSON) documents; `file` is the name that problems begin with.
 *
 * @throws PodError `manifest`, a line per problem
 */
export function readManifest(file: string, text: string): Manifest {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const place = (document: Document, number: number, fault: Fault): Problem => {
    const { line, col } = lines.linePos(offsetOf(document, fault));
    const prefix = documents.length > 1 ? `document ${number}: ` : '';
    return { file, line, column: col, field: `${prefix}${formatField(fault.path)}`, text: fault.text };
  };
  const read = [...documents]
    .map((document, i) => ({ ...readDocument(document), document, number: i + 1 }))
    .filter(({ isEmpty }) => !isEmpty);
  const problems = read.flatMap(({ syntax, faults, document, number }) => [
    ...syntax.map(({ offset, text: said }) => {
      const { line, col } = lines.linePos(offset);
      return { file, line, column: col, field: '', text: said };
    }),
    ...faults.map((fault) => place(document, number, fault)),
  ]);
  const found = read.flatMap(({ pod, document, number }) => (pod ? [{ pod, document, number }] : []));
  for (const { fault, document, number } of doublesOf(found)) problems.push(place(document, number, fault));
  if (read.length === 0) {
    problems.push({ file, line: undefined, column: undefined, field: '', text: 'has no pod in it' });
  }
  if (problems.length > 0) throw new PodError('manifest', problems.map(formatProblem).join('\n'));
  return {
    pods: found.map(({ pod }) => pod),
    warnings: read.flatMap(({ warnings, document, number }) =>
      warnings.map((fault) => formatProblem(place(document, number, fault))),
    ),
  };
}

interface ReadDocument {
  readonly isEmpty: boolean;
  readonly syntax: readonly { readonly offset: number; readonly text: string }[];
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
  readonly pod: Pod | undefined;
}

function readDocument(document: Document): ReadDocument {
  const nothing = { isEmpty: false, syntax: [], faults: [], warnings: [], pod: undefined };
  const syntax = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    offset: pos[0],
    text: message.trim(),
  }));
  if (syntax.length > 0) return { ...nothing, syntax };
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    return { ...nothing, syntax: [{ offset: 0, text: `cannot be expanded: ${reasonOf(error)}` }] };
  }
  if (value === null || value === undefined) return { ...nothing, isEmpty: true };
  const { read, issues, ignored } = parse(value);
  const unknown = issues.filter(({ code }) => code !== 'unrecognized_keys');
  if (!read)
    return { ...nothing, faults: faultsOf(unknown, (path) => keysAt(podShape, path)), warnings: ignored };
  const faults = faultsBetween(read);
  if (faults.length > 0) return { ...nothing, faults, warnings: ignored };
  return { ...nothing, warnings: [...ignored, ...warningsOf(read)], pod: podOf(read) };
}

/** Without the keys that the schema does not know. */
function parse(value: unknown): { read?: ReadPod; issues: readonly core.$ZodIssue[]; ignored: Fault[] } {
  const first = podShape.safeParse(value, { error: inGeneral });
  if (first.success) return { read: first.data, issues: [], ignored: [] };
  const ignored = prune(value, podShape, first.error.issues);
  const second = podShape.safeParse(value, { error: inGeneral });
  if (second.success) return { read: second.data, issues: [], ignored };
  return { issues: second.error.issues, ignored };
}

interface Found {
  readonly pod: Pod;
  readonly document: Document;
  readonly number: number;
}

/** Pods of one file that cannot both be: of one name, or on one host port. */
function doublesOf(found: readonly Found[]): { fault: Fault; document: Document; number: number }[] {
  const owners = new Map<string, Found>();
  return found.flatMap((each) => {
    const { pod, document, number } = each;
    const claims = [
      { key: keyOf(pod), path: ['metadata', 'name'], text: `the pod ${titleOf(pod)} is there twice` },
      ...pod.containers.flatMap(({ ports }, i) =>
        ports.flatMap(({ hostPort, hostIP = '*', protocol }, j) => {
          if (hostPort === undefined) return [];
          const text = `host port ${hostPort}/${protocol} is another pod's of this file already: choose another`;
          return [
            {
              key: `${hostIP} ${hostPort}/${protocol}`,
              path: ['spec', 'containers', i, 'ports', j, 'hostPort'],
              text,
            },
          ];
        }),
      ),
    ];
    return claims.flatMap(({ key, path, text }) => {
      const other = owners.get(key);
      owners.set(key, other ?? each);
      return other && other !== each ? [{ fault: { path, text }, document, number }] : [];
    });
  });
}
