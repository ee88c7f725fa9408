/** The secrets that weft's configuration leads to: what must be nowhere in a bundle. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Config } from '../config/config.ts';
import { isSecretName } from './redact.ts';

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * What cannot be read is left out: it cannot be in the bundle either. `config` is undefined where weft.yaml is refused;
 * `document` is what was parsed of it all the same.
 */
export function knownSecrets(from: {
  readonly config: Config | undefined;
  readonly document: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
}): string[] {
  const { config, document, env } = from;
  const files = config ? filesOf(config.store) : [];
  const texts = files.flatMap((file) => (file === undefined ? [] : readable(file)));
  return [
    ...secretsIn(document),
    ...(env.WEFT_ETCD_PASSWORD ? [env.WEFT_ETCD_PASSWORD] : []),
    ...texts.flatMap((text) => [...(text.includes('\n') ? linesOf(text) : [text]), ...stringsOf(text)]),
  ];
}

function filesOf(store: Config['store']): (string | undefined)[] {
  if (store.type === 'kubernetes') return [store.kubeconfig, serviceAccountToken];
  if (store.type === 'file') return [];
  return [store.tls?.client?.keyFile, store.login?.passwordFile];
}

/** A key's lines: any of them alone would be too much. */
const linesOf = (text: string): string[] =>
  text.split('\n').filter((line) => line.length >= 16 && !line.startsWith('-----'));

/** Values of a kubeconfig whose names say that they are secret. */
function stringsOf(text: string): string[] {
  try {
    return secretsIn(parse(text));
  } catch {
    return [];
  }
}

function secretsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    isSecretName(key) && typeof each === 'string' ? [each] : secretsIn(each),
  );
}

function readable(file: string): string[] {
  try {
    return [readFileSync(file, 'utf8')];
  } catch {
    return [];
  }
}
