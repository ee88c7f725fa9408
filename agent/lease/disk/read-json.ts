/** A JSON object on disk, with the difference between a file that is not there and one that cannot be read. */

import { readFileSync } from 'node:fs';
import { parseObject } from '../../../json/object.ts';
import { isErrno } from '../../../kernel/errno.ts';
import { textOf } from '../errors.ts';

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
    if (isErrno(error, 'ENOENT')) return { kind: 'absent' };
    return { kind: 'unreadable', reason: `failed to read ${path}: ${textOf(error)}` };
  }
  const object = parseObject(text);
  return object
    ? { kind: 'object', object }
    : { kind: 'unreadable', reason: `failed to read ${path}: not a JSON object` };
}
