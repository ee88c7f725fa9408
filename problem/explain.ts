/** What a schema found, in words: which field, what is wrong with it, and the remedy. */
import type { core } from 'zod/mini';
import type { Fault, FieldPath } from './problem.ts';
import { distance } from './words.ts';

/** A message for a value that is missing, or of another kind than `what`. */
export const expected =
  (what: string) =>
  ({ input }: { readonly input?: unknown }): string =>
    input === undefined ? `is missing; give ${what}` : `expected ${what}, not ${shown(input)}`;

/** The messages of what the schema's own words do not cover. */
export const inGeneral: core.$ZodErrorMap = (issue) =>
  issue.code === 'invalid_type' ? expected(nounOf(issue.expected))(issue) : undefined;

/** The faults behind a schema's issues, an unknown key as one fault each. */
export function faultsOf(
  issues: readonly core.$ZodIssue[],
  keysAt: (path: FieldPath) => readonly string[],
): Fault[] {
  return issues.flatMap((issue) => issueFaults(issue, keysAt));
}

function issueFaults(issue: core.$ZodIssue, keysAt: (path: FieldPath) => readonly string[]): Fault[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      text: `unknown key; ${remedyFor(key, keysAt(path))}`,
      inName: true,
    }));
  }
  const branch = issue.code === 'invalid_union' ? issue.errors.find(isOfThatKind) : undefined;
  if (!branch) return [{ path, text: issue.message }];
  return branch.flatMap((inner) => issueFaults({ ...inner, path: [...issue.path, ...inner.path] }, keysAt));
}

/** Whether the value was of the kind that this branch of a union describes, though not right. */
const isOfThatKind = (issues: readonly core.$ZodIssue[]): boolean =>
  issues.every(
    (issue) =>
      issue.path.length > 0 ||
      (issue.code === 'invalid_union'
        ? issue.errors.some(isOfThatKind)
        : issue.code !== 'invalid_type' && issue.code !== 'invalid_value'),
  );

function remedyFor(key: string, known: readonly string[]): string {
  const meant = nearestOf(key, known);
  return meant ? `did you mean ${meant}?` : `remove it, or use one of ${known.join(', ')}`;
}

/** The one that was probably meant by a key that is none of them. */
export function nearestOf(key: string, known: readonly string[]): string | undefined {
  const letters = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');
  const wanted = letters(key);
  return (
    known.find((name) => letters(name) === wanted) ??
    known.find(
      (name) => wanted.length > 3 && (letters(name).startsWith(wanted) || wanted.startsWith(letters(name))),
    ) ??
    known.find((name) => distance(letters(name), wanted) <= 2)
  );
}

const nounOf = (kind: string): string =>
  ({ object: 'a mapping of keys to values', array: 'a list', string: 'a text', int: 'a whole number' })[
    kind
  ] ?? `a ${kind}`;

function shown(value: unknown): string {
  if (value === null) return 'null (remove the key for its default)';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
