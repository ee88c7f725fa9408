/** A JSON object on disk, with the difference between a file that is not there and one that cannot be read. */
import { readFileSync } from 'node:fs';
import { textOf } from '../errors.ts';
import { parseJsonObject } from '../flannel/go-json.ts';

export type JsonFile =
  | { readonly kind: 'absent' }
  | { readonly kind: 'object'; readonly object: Record<string, unknown> }
  /** `reason` names the path. */
  | { readonly kind: 'unreadable'; readonly reason: string };

export function readJsonFile(path: string): JsonFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { kind: 'absent' };
    return { kind: 'unreadable', reason: `failed to read ${path}: ${textOf(error)}` };
  }
  const object = parseJsonObject(text);
  return object
    ? { kind: 'object', object }
    : { kind: 'unreadable', reason: `failed to read ${path}: not a JSON object` };
}
