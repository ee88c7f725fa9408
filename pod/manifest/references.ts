/** What a pod takes from the ConfigMaps and Secrets of its file: variables and files. Pure. */
import type { Fault, FieldPath } from '../../problem/problem.ts';
import { type ObjectKind, type Objects, objectKey, type Values } from './objects.ts';
import type { EnvEntry, VolumeFile } from './pod.ts';
import type { ReadContainer, ReadEnvSource, ReadVolume } from './schema.ts';

export interface Scope {
  readonly objects: Objects;
  /** The pod's: it cannot refer to another's. */
  readonly namespace: string;
}

interface Reference {
  readonly kind: ObjectKind;
  readonly name: string;
  readonly optional: boolean;
}

const valuesOf = ({ objects, namespace }: Scope, { kind, name }: Reference): Values | undefined =>
  objects.get(objectKey({ kind, namespace, name }));

const sourceOf = ({ configMapRef, secretRef }: ReadEnvSource): Reference | undefined => {
  if (configMapRef) return { kind: 'ConfigMap', ...given(configMapRef) };
  return secretRef && { kind: 'Secret', ...given(secretRef) };
};

const given = ({ name, optional }: { name: string; optional?: boolean | undefined }) => ({
  name,
  optional: optional ?? false,
});

type ReadEnvEntry = NonNullable<ReadContainer['env']>[number];

function keyOf({ valueFrom }: ReadEnvEntry): (Reference & { readonly key: string }) | undefined {
  const { configMapKeyRef, secretKeyRef } = valueFrom ?? {};
  if (configMapKeyRef) return { kind: 'ConfigMap', key: configMapKeyRef.key, ...given(configMapKeyRef) };
  return secretKeyRef && { kind: 'Secret', key: secretKeyRef.key, ...given(secretKeyRef) };
}

/** `envFrom`, then `env`: the last of a name holds. */
export function environmentEntries(container: ReadContainer, scope: Scope): EnvEntry[] {
  const from = (container.envFrom ?? []).flatMap((source) => {
    const reference = sourceOf(source);
    const values = reference && valuesOf(scope, reference);
    return [...(values ?? [])].flatMap(([key, value]): EnvEntry[] => {
      const name = `${source.prefix ?? ''}${key}`;
      return isVariable(name) ? [literal(name, value)] : [];
    });
  });
  const own = (container.env ?? []).flatMap((entry): EnvEntry[] => {
    const { name, value = '', valueFrom } = entry;
    const reference = keyOf(entry);
    if (reference) {
      const found = valuesOf(scope, reference)?.get(reference.key);
      return found ? [literal(name, found)] : [];
    }
    // An unsupported source was warned of; an empty value would claim that it is empty.
    if (valueFrom && !valueFrom.fieldRef) return [];
    return [{ name, value, field: valueFrom?.fieldRef?.fieldPath }];
  });
  return [...from, ...own];
}

const literal = (name: string, value: Uint8Array): EnvEntry => ({
  name,
  value: Buffer.from(value).toString('utf8'),
  field: undefined,
  literal: true,
});

export const isVariable = (name: string): boolean => /^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name);

interface ReadFiles {
  readonly reference: Reference;
  readonly field: 'configMap' | 'secret';
  readonly items: NonNullable<NonNullable<ReadVolume['secret']>['items']> | undefined;
  readonly defaultMode: number;
}

const DEFAULT_MODE = 0o644;

/** Undefined for a volume of another kind. */
export function filesIn({ configMap, secret }: ReadVolume): ReadFiles | undefined {
  const read = configMap ?? secret;
  if (!read) return undefined;
  const { items, defaultMode = DEFAULT_MODE, optional = false } = read;
  const name = 'secretName' in read ? read.secretName : read.name;
  return {
    reference: { kind: configMap ? 'ConfigMap' : 'Secret', name, optional },
    field: configMap ? 'configMap' : 'secret',
    items,
    defaultMode,
  };
}

export function volumeFiles({ reference, items, defaultMode }: ReadFiles, scope: Scope): VolumeFile[] {
  const values = valuesOf(scope, reference) ?? new Map<string, Uint8Array>();
  const chosen = items ?? [...values.keys()].map((key) => ({ key, path: key, mode: undefined }));
  return chosen.flatMap(({ key, path, mode = defaultMode }) => {
    const value = values.get(key);
    return value ? [{ path, mode, content: Buffer.from(value).toString('base64') }] : [];
  });
}

/** References to what the file does not have. */
export function referenceFaults(container: ReadContainer, path: FieldPath, scope: Scope): Fault[] {
  return [
    ...(container.envFrom ?? []).flatMap((source, i) => {
      const reference = sourceOf(source);
      const at = [...path, 'envFrom', i];
      if (!reference) return [{ path: at, text: 'needs one of configMapRef and secretRef' }];
      return missing(reference, undefined, at, scope);
    }),
    ...(container.env ?? []).flatMap((entry, i) => {
      const reference = keyOf(entry);
      return reference ? missing(reference, reference.key, [...path, 'env', i, 'valueFrom'], scope) : [];
    }),
  ];
}

export function volumeReferenceFaults(volume: ReadVolume, path: FieldPath, scope: Scope): Fault[] {
  const files = filesIn(volume);
  if (!files) return [];
  const at = [...path, files.field];
  const keys = files.items?.map(({ key }) => key) ?? [undefined];
  return keys.flatMap((key) => missing(files.reference, key, at, scope));
}

function missing(reference: Reference, key: string | undefined, path: FieldPath, scope: Scope): Fault[] {
  const { kind, name, optional } = reference;
  if (optional) return [];
  const values = valuesOf(scope, reference);
  if (!values) {
    return [
      { path, text: `${kind} ${name} not found in this file: add its document, or set optional: true` },
    ];
  }
  return key === undefined || values.has(key) ? [] : [{ path, text: `${kind} ${name} has no key ${key}` }];
}
