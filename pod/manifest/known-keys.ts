/** Which keys a schema knows at a path, and a document without those that it does not. */
import type { core } from 'zod/mini';
import { nearestOf } from '../../problem/explain.ts';
import type { Fault, FieldPath } from '../../problem/problem.ts';

/** Empty where there is no mapping of fixed keys at the path. */
export function keysAt(schema: core.$ZodType, path: FieldPath): string[] {
  const [step, ...rest] = path;
  const inner = innerOf(schema);
  if ('shape' in inner) {
    const shape = inner.shape as Record<string, core.$ZodType>;
    if (step === undefined) return Object.keys(shape);
    const next = shape[String(step)];
    return next ? keysAt(next, rest) : [];
  }
  return 'element' in inner && step !== undefined ? keysAt(inner.element as core.$ZodType, rest) : [];
}

/** The definition of what is within `optional` and `nullable`. */
function innerOf(schema: core.$ZodType): core.$ZodTypeDef {
  const { def } = schema._zod;
  return 'innerType' in def ? innerOf(def.innerType as core.$ZodType) : def;
}

/**
 * Takes the keys that the schema does not know out of `value`, and says which: those that say something. What tools
 * write for completeness (`status: {}`, `creationTimestamp: null`) goes without a word.
 */
export function prune(value: unknown, schema: core.$ZodType, issues: readonly core.$ZodIssue[]): Fault[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [];
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    const parent = at(value, path);
    if (typeof parent !== 'object' || parent === null) return [];
    const holder = parent as Record<string, unknown>;
    return issue.keys.flatMap((key) => {
      const said = !isEmpty(holder[key]);
      delete holder[key];
      return said ? [{ path: [...path, key], text: ignored(key, keysAt(schema, path)), inName: true }] : [];
    });
  });
}

function ignored(key: string, known: readonly string[]): string {
  const meant = kubernetesFields.has(key) ? undefined : nearestOf(key, known);
  return meant ? `is ignored: did you mean ${meant}?` : 'is ignored: weft does not support it';
}

/** Real ones that look like others. */
const kubernetesFields: ReadonlySet<string> = new Set([
  'envFrom',
  'hostAliases',
  'hostIPC',
  'hostPID',
  'grpc',
  'uid',
]);

const at = (value: unknown, path: FieldPath): unknown =>
  path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[step] : undefined,
    value,
  );

const isEmpty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && value !== null && Object.values(value).every(isEmpty));
