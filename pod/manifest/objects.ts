/**
 * ConfigMaps and Secrets of a manifest file: what pods of the same file refer to. A Secret's values are in no
 * message.
 */
import * as z from 'zod/mini';
import type { Fault } from '../../problem/problem.ts';

/** The values of one object by key. */
export type Values = ReadonlyMap<string, Uint8Array>;

/** By {@link objectKey}. */
export type Objects = ReadonlyMap<string, Values>;

export type ObjectKind = 'ConfigMap' | 'Secret';

export const objectKey = (of: { kind: ObjectKind; namespace: string; name: string }): string =>
  `${of.kind} ${of.namespace}/${of.name}`;

/** Which kind the document says it is; undefined for any other. */
export function objectKindOf(value: unknown): ObjectKind | undefined {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  return kind === 'ConfigMap' || kind === 'Secret' ? kind : undefined;
}

/** The messages never contain the value. */
const text = z.string({ error: 'expected a text; put numbers and booleans in quotes' });
const texts = z.record(z.string(), text);

const shape = z.object({
  apiVersion: z.literal('v1', { error: 'expected v1' }),
  metadata: z.object({
    name: z.string({ error: 'expected a name' }),
    namespace: z.optional(z.string({ error: 'expected a name' })),
  }),
  data: z.optional(texts),
  binaryData: z.optional(texts),
  stringData: z.optional(texts),
});

export interface ReadObject {
  readonly key: string;
  readonly title: string;
  readonly values: Values;
}

/** Parses a document of that kind, without its zero values. */
export function readObject(value: unknown, kind: ObjectKind): { object?: ReadObject; faults: Fault[] } {
  const { success, data: read, error } = shape.safeParse(value);
  if (!success) {
    const faults = error.issues.map(({ path, message }) => ({
      path: path.map((step) => (typeof step === 'number' ? step : String(step))),
      text: message.startsWith('expected') ? message : 'has an unexpected value',
    }));
    return { faults };
  }
  const plain = Object.entries((kind === 'ConfigMap' ? read.data : read.stringData) ?? {});
  const encoded = Object.entries((kind === 'ConfigMap' ? read.binaryData : read.data) ?? {});
  const field = kind === 'ConfigMap' ? 'binaryData' : 'data';
  const faults = [
    ...[...plain, ...encoded]
      .filter(([key]) => !isValueKey(key))
      .map(([key]) => ({
        path: ['data', key],
        text: 'is not a key: use letters, digits, -, _ and .',
        inName: true,
      })),
    ...encoded
      .filter(([, value]) => !isBase64(value))
      .map(([key]) => ({ path: [field, key], text: 'is not base64' })),
  ];
  const { name, namespace = 'default' } = read.metadata;
  const values = new Map([
    ...encoded.map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    ...plain.map(([key, value]) => [key, Buffer.from(value)] as const),
  ]);
  return { object: { key: objectKey({ kind, namespace, name }), title: `${kind} ${name}`, values }, faults };
}

/** A key becomes a file name. */
const isValueKey = (key: string): boolean =>
  /^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && !key.startsWith('..');

function isBase64(value: string): boolean {
  const compact = value.replace(/\s/g, '');
  return compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact);
}
