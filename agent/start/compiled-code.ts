/**
 * The code that V8 compiled for an earlier start, on disk. Compiling anew what a start needs takes longer than
 * what the start does.
 *
 * V8 refuses what another version of itself made, or one with other flags, but it dies of bytes that are not what
 * it wrote: so a digest is kept with them, and only a file that nobody but its owner, who is us, can have written
 * is read.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Undefined where there is none for the code of that name, or none that can be relied on. */
export function readCompiled(path: string, name: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined; // nothing kept yet, or not for us to read
  }
  try {
    const { uid, mode } = fstatSync(file);
    if (uid !== process.geteuid?.() || mode & 0o022) return undefined;
    const bytes = readFileSync(file);
    const code = bytes.subarray(bytes.indexOf('\n') + 1);
    return bytes.toString('latin1', 0, bytes.length - code.length) === headOf(name, code) ? code : undefined;
  } finally {
    closeSync(file);
  }
}

/** Its folder may be missing, the one above it may not. Throws where it cannot be written. */
export function writeCompiled(path: string, name: string, code: Buffer): void {
  const temporary = `${path}.${process.pid}`;
  const folder = dirname(path);
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  writeFileSync(temporary, Buffer.concat([Buffer.from(headOf(name, code)), code]), { mode: 0o600 });
  renameSync(temporary, path);
}

const headOf = (name: string, code: Buffer): string =>
  `${name} ${createHash('sha256').update(code).digest('hex')}\n`;
