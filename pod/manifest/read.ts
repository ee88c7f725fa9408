/**
 * The text of a manifest file → pods. Pure: every problem is found and placed, none is thrown singly. ConfigMaps and
 * Secrets of the file are read first, since pods refer to them.
 */
import { type Document, LineCounter, parseAllDocuments, type ScalarTag } from 'yaml';
import type { core } from 'zod/mini';
import { offsetOf } from '../../problem/document.ts';
import { faultsOf, inGeneral } from '../../problem/explain.ts';
import { type Fault, formatField, formatProblem, type Problem } from '../../problem/problem.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import { podOf } from './convert.ts';
import { keysAt, type Pruned, prune } from './known-keys.ts';
import { type Objects, objectKindOf, readObject, type Values } from './objects.ts';
import { keyOf, lastingOf, type Pod, titleOf } from './pod.ts';
import { faultsBetween } from './rules.ts';
import { podShape, type ReadPod } from './schema.ts';
import { warningsOf } from './warnings.ts';
import { withoutZeros } from './zero-values.ts';

export interface Manifest {
  /** In the order of the documents; never empty. */
  readonly pods: readonly Pod[];
  /** A line each: place in the file, field, what is ignored. */
  readonly warnings: readonly string[];
}

/** `message` has a line per problem. */
export class ManifestError extends PodError {
  /** Found beside the problems: a line each. */
  readonly warnings: readonly string[];

  constructor(problems: readonly Problem[], warnings: readonly string[]) {
    super('manifest', problems.map(formatProblem).join('\n'));
    this.warnings = warnings;
  }
}

/** kubectl reads YAML 1.1: `0644` is octal, and `<<` merges. */
const octal: ScalarTag = {
  identify: () => false,
  default: true,
  tag: 'tag:yaml.org,2002:int',
  test: /^0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
};

/**
 * Reads a file of one or more YAML (or JSON) documents; `file` is the name that problems begin with.
 *
 * @throws ManifestError
 */
export function readManifest(file: string, text: string): Manifest {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    merge: true,
    customTags: (tags) => [octal, ...tags],
  });
  const place = (document: Document, number: number, fault: Fault): Problem => {
    const { line, col } = lines.linePos(offsetOf(document, fault));
    const prefix = documents.length > 1 ? `document ${number}: ` : '';
    return { file, line, column: col, field: `${prefix}${formatField(fault.path)}`, text: fault.text };
  };
  const values = [...documents]
    .map((document, i) => ({ ...contentOf(document), document, number: i + 1 }))
    .filter(({ value, syntax }) => syntax.length > 0 || (value !== null && value !== undefined));
  const problems: Problem[] = values.flatMap(({ syntax }) =>
    syntax.map(({ offset, text: said }) => {
      const { line, col } = lines.linePos(offset);
      return { file, line, column: col, field: '', text: said };
    }),
  );
  const whole = values.filter(({ syntax }) => syntax.length === 0);
  const { objects, faults } = objectsOf(whole);
  problems.push(...faults.map(({ fault, document, number }) => place(document, number, fault)));
  const read = whole
    .filter(({ value }) => objectKindOf(value) === undefined)
    .map(({ value, document, number }) => ({ ...readPod(value, objects), document, number }));
  problems.push(
    ...read.flatMap((each) => each.faults.map((fault) => place(each.document, each.number, fault))),
  );
  const found = read.flatMap(({ pod, document, number }) => (pod ? [{ pod, document, number }] : []));
  for (const { fault, document, number } of doublesOf(found)) problems.push(place(document, number, fault));
  if (read.length === 0 && problems.length === 0) {
    problems.push({ file, line: undefined, column: undefined, field: '', text: 'has no pod in it' });
  }
  const warnings = read.flatMap((each) =>
    each.warnings.map((fault) => formatProblem(place(each.document, each.number, fault))),
  );
  if (problems.length > 0) throw new ManifestError(problems, warnings);
  return { pods: found.map(({ pod }) => pod), warnings };
}

interface Syntax {
  readonly offset: number;
  readonly text: string;
}

function contentOf(document: Document): { value: unknown; syntax: readonly Syntax[] } {
  const syntax = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    offset: pos[0],
    text: message.trim(),
  }));
  if (syntax.length > 0) return { value: undefined, syntax };
  try {
    return { value: withoutZeros(document.toJS()), syntax };
  } catch (error) {
    return { value: undefined, syntax: [{ offset: 0, text: `failed to expand: ${reasonOf(error)}` }] };
  }
}

interface Valued {
  readonly value: unknown;
  readonly document: Document;
  readonly number: number;
}

interface Misplaced {
  readonly fault: Fault;
  readonly document: Document;
  readonly number: number;
}

function objectsOf(values: readonly Valued[]): { objects: Objects; faults: Misplaced[] } {
  const objects = new Map<string, Values>();
  const faults = values.flatMap(({ value, document, number }): Misplaced[] => {
    const kind = objectKindOf(value);
    if (!kind) return [];
    const read = readObject(value, kind);
    const found = [...read.faults];
    if (read.object && objects.has(read.object.key)) {
      found.push({ path: ['metadata', 'name'], text: `duplicate ${read.object.title}` });
    }
    if (read.object) objects.set(read.object.key, read.object.values);
    return found.map((fault) => ({ fault, document, number }));
  });
  return { objects, faults };
}

interface ReadDocument {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
  readonly pod: Pod | undefined;
}

function readPod(value: unknown, objects: Objects): ReadDocument {
  const { read, issues, pruned } = parse(value);
  const { ignored: warnings, refused } = pruned;
  if (!read) {
    const malformed = issues.filter(({ code }) => code !== 'unrecognized_keys');
    const faults = [...faultsOf(malformed, (path) => keysAt(podShape, path)), ...refused];
    return { faults, warnings, pod: undefined };
  }
  // Without the refused fields the rest may contradict itself: one problem is reported, not its consequences.
  const faults = refused.length > 0 ? refused : faultsBetween(read, objects);
  if (faults.length > 0) return { faults, warnings, pod: undefined };
  return { faults, warnings: [...warnings, ...warningsOf(read)], pod: podOf(read, objects) };
}

/** Without the keys that are not in the schema. */
function parse(value: unknown): { read?: ReadPod; issues: readonly core.$ZodIssue[]; pruned: Pruned } {
  const first = podShape.safeParse(value, { error: inGeneral });
  if (first.success) return { read: first.data, issues: [], pruned: { ignored: [], refused: [] } };
  const pruned = prune(value, podShape, first.error.issues);
  const second = podShape.safeParse(value, { error: inGeneral });
  if (second.success) return { read: second.data, issues: [], pruned };
  return { issues: second.error.issues, pruned };
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
    const sidecars = lastingOf(pod).length - pod.containers.length;
    const claims = [
      { key: keyOf(pod), path: ['metadata', 'name'], text: `duplicate pod ${titleOf(pod)}` },
      ...lastingOf(pod).flatMap(({ ports, restartPolicy }, i) =>
        ports.flatMap(({ hostPort, hostIP = '*', protocol }, j) => {
          if (hostPort === undefined) return [];
          const text = `host port ${hostPort}/${protocol} is in use by another pod of this file: choose another`;
          return [
            {
              key: `${hostIP} ${hostPort}/${protocol}`,
              path: restartPolicy
                ? ['spec', 'initContainers']
                : ['spec', 'containers', i - sidecars, 'ports', j, 'hostPort'],
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
