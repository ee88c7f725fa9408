import { readFileSync } from 'node:fs';
import { StoreError, textOf } from '../../errors.ts';

/** A file's text without the newline at its end; throws `StoreError` `refused`. */
export function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new StoreError('refused', `etcd: cannot read ${path}: ${textOf(error)}`);
  }
}
