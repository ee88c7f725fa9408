/**
 * Reads a file of stateDir. A file that is absent and a file that cannot be read are two things: what is absent is not
 * wanted, and of what cannot be read nothing is known, so that nothing may be changed.
 */

import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { core } from 'zod/mini';
import { isErrno } from '../../kernel/errno.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import { format } from './shapes.ts';

export interface StateFile<T> {
  readonly path: string;
  readonly shape: core.$ZodType & { safeParse(value: unknown): { success: boolean; error?: core.$ZodError } };
  /** For messages, what to do about a file that cannot be read. */
  readonly remedy: string;
  /** Never set: the type of what is read. */
  readonly as?: T;
}

/**
 * Undefined where the file is absent.
 *
 * @throws PodError `state` where it cannot be read: an I/O error, not whole, another format, or its folder is absent
 */
export function readState<T extends object>({ path, shape, remedy }: StateFile<T>): T | undefined {
  const unreadable = (why: string, cause?: unknown): PodError =>
    new PodError('state', `failed to read ${path}: ${why}; nothing is changed; ${remedy}`, { cause });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw unreadable(reasonOf(error), error);
    const folder = dirname(path);
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return undefined;
    throw unreadable(`the folder ${folder} is absent`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable(`it is truncated or damaged (${reasonOf(error)})`, error);
  }
  const found = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (found !== format) {
    throw unreadable(`unsupported format ${JSON.stringify(found) ?? 'none'} (supported: ${format})`);
  }
  const { success, error } = shape.safeParse(value);
  if (!success) {
    const [issue] = error?.issues ?? [];
    throw unreadable(`${issue?.path.map(String).join('.') || 'content'}: ${issue?.message ?? 'unexpected'}`);
  }
  return value as T;
}
