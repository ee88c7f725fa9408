/**
 * The boundary's decoder: a JSON object whose keys are found without regard to case, as Go's
 * `encoding/json` finds them. Runtimes rely on it: containerd's structs carry no JSON tags, so it sends
 * `HostPort` and `IngressRate` where the conventions say `hostPort` and `ingressRate`.
 *
 * Of several keys that differ in case only, the last wins; `null` is the same as absent. A value of
 * another type than asked for is a `CniError` `undecodable` that names the path.
 */
import { folded } from '../../json/object.ts';
import { CniError } from '../errors.ts';

export class Fields {
  /** Where this object stands in the input, for messages: `ipam.ranges[0][1]`; empty for the whole. */
  readonly path: string;
  readonly #values: ReadonlyMap<string, unknown>;

  private constructor(path: string, values: ReadonlyMap<string, unknown>) {
    this.path = path;
    this.#values = values;
  }

  static of(value: unknown, path: string): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw mistyped(path, 'an object', value);
    }
    const values = new Map<string, unknown>();
    for (const [key, each] of Object.entries(value)) values.set(folded(key), each);
    return new Fields(path, values);
  }

  /** Whether the key is there at all, be it as null. */
  has(key: string): boolean {
    return this.#values.has(folded(key));
  }

  /** The value as it stands; undefined for null. */
  raw(key: string): unknown {
    return this.#values.get(folded(key)) ?? undefined;
  }

  /** The value, or undefined where it is absent, null or empty. */
  string(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || value === '') return undefined;
    return asString(value, this.at(key));
  }

  boolean(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw mistyped(this.at(key), 'true or false', value);
  }

  /** Go's integers have 64 bits: a larger number is no integer for any other plugin either. */
  integer(key: string): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 64) return value;
    throw mistyped(this.at(key), 'a whole number of at most 64 bits', value);
  }

  object(key: string): Fields | undefined {
    const value = this.raw(key);
    return value === undefined ? undefined : Fields.of(value, this.at(key));
  }

  /** The list's elements, each given to `decode` with its path; absent is empty. */
  list<T>(key: string, decode: (element: unknown, path: string) => T): T[] {
    const value = this.raw(key);
    if (value === undefined) return [];
    return asList(value, this.at(key)).map((element, i) => decode(element, `${this.at(key)}[${i}]`));
  }

  at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

export function asString(value: unknown, path: string): string {
  if (typeof value !== 'string') throw mistyped(path, 'a string', value);
  // Names and paths end there for the kernel, so that it would be given others than were configured.
  if (value.includes('\0')) throw new CniError('invalid-config', `${path} contains the character U+0000`);
  return value;
}

export function asList(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw mistyped(path, 'a list', value);
  return value;
}

/** A map of strings whose keys mean something as they are spelled, so that nothing is folded. */
export function asStringMap(value: unknown, path: string): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw mistyped(path, 'an object of strings', value);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, asString(each, `${path}.${key}`)]),
  );
}

function mistyped(path: string, expected: string, value: unknown): CniError {
  const where = path === '' ? 'the network configuration' : path;
  return new CniError('undecodable', `${where} must be ${expected}, not ${excerpt(value)}`);
}

/** The value as JSON, cut to what fits into a message. */
export function excerpt(value: unknown): string {
  const text = asJson(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return 'what is nested too deeply to be shown'; // JSON.parse has no limit, JSON.stringify has the stack's
  }
}
