/**
 * JSON objects from outside. Names are found as Go's encoding/json finds them, which writes or reads most of what
 * weft parses: without regard to case, and of several matching names the last in input order wins.
 */

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object in the text; undefined if the text is not JSON or not an object. */
export function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The name as Go's simple folding compares it: U+017F is the only letter that lower case alone leaves apart. */
export const folded = (name: string): string => name.toLowerCase().replaceAll('\u017f', 's');

/** The field of that name; undefined where there is none. */
export function field(object: Json, name: string): unknown {
  const wanted = folded(name);
  let found: unknown;
  for (const key of Object.keys(object)) if (folded(key) === wanted) found = object[key];
  return found;
}
