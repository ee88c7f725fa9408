/** The keys of a schema at a path, and a document without unknown keys. */
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

export interface Pruned {
  /** Keys that are left out. */
  readonly ignored: readonly Fault[];
  /** Keys that change what the pod may do, and that weft cannot do. */
  readonly refused: readonly Fault[];
}

/**
 * Removes the keys that are not in the schema from `value`, and returns those of them that are not empty. What tools
 * write for completeness (`status: {}`, `creationTimestamp: null`) goes without a word.
 */
export function prune(value: unknown, schema: core.$ZodType, issues: readonly core.$ZodIssue[]): Pruned {
  const ignored: Fault[] = [];
  const refused: Fault[] = [];
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    const parent = at(value, path);
    if (typeof parent !== 'object' || parent === null) continue;
    const holder = parent as Record<string, unknown>;
    for (const key of issue.keys) {
      const said = holder[key];
      delete holder[key];
      const known = keysAt(schema, path);
      const fault = (text: string): Fault => ({ path: [...path, key], text, inName: true });
      if (changesPowers(key, said, path)) refused.push(fault(refusal(key, known, path)));
      else if (!isEmpty(said)) ignored.push(fault(ignoring(key, known)));
    }
  }
  return { ignored, refused };
}

/** Fields that change what a pod may do, or how long. */
const powers: ReadonlySet<string> = new Set([
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'shareProcessNamespace',
  'runtimeClassName',
  'activeDeadlineSeconds',
  'ephemeralContainers',
  'resourceClaims',
  'volumeDevices',
  'subPathExpr',
  'grpc',
  'stopSignal',
  'restartPolicyRules',
]);

function changesPowers(key: string, said: unknown, path: FieldPath): boolean {
  if (key === 'hostUsers') return said === false;
  if (isEmpty(said)) return false;
  if (powers.has(key)) return true;
  const parent = path.at(-1);
  return (
    path.includes('securityContext') ||
    path.includes('resources') ||
    (parent === 'spec' && key === 'resources') ||
    isVolume(path) ||
    ((parent === 'postStart' || parent === 'preStop') && key === 'tcpSocket')
  );
}

const isVolume = (path: FieldPath): boolean => path.at(-2) === 'volumes' && path.length === 3;

function refusal(key: string, known: readonly string[], path: FieldPath): string {
  if (isVolume(path)) {
    const kinds = known.filter((each) => each !== 'name').join(', ');
    return `unsupported volume type ${key} (supported: ${kinds})`;
  }
  const meant = powers.has(key) ? undefined : nearestOf(key, known);
  return meant
    ? `unknown field; did you mean ${meant}?`
    : 'unsupported, and it changes what the pod may do: remove it, or run the pod in Kubernetes';
}

function ignoring(key: string, known: readonly string[]): string {
  const meant = kubernetesFields.has(key) ? undefined : nearestOf(key, known);
  return meant ? `is ignored: did you mean ${meant}?` : 'is ignored: weft does not support it';
}

/** Real ones that look like others. */
const kubernetesFields: ReadonlySet<string> = new Set(['uid', 'subdomain', 'priority', 'nodeName']);

const at = (value: unknown, path: FieldPath): unknown =>
  path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[step] : undefined,
    value,
  );

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === '' ||
  value === 0 ||
  (typeof value === 'object' && value !== null && Object.values(value).every(isEmpty));
