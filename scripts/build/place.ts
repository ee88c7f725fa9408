/** Replaces files as a whole: a reader sees the old or the new one, never a part. */
import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export function install(file: { path: string; content: string | Uint8Array; mode: number }): void {
  const temporary = temporaryPath(file.path);
  writeFileSync(temporary, file.content);
  // Not writeFileSync's mode: the umask would be taken off it.
  chmodSync(temporary, file.mode);
  renameSync(temporary, file.path);
}

export function installLink(link: { path: string; target: string }): void {
  const temporary = temporaryPath(link.path);
  symlinkSync(link.target, temporary);
  renameSync(temporary, link.path);
}

/** A name beside `path` that no other build uses; its folder is made. */
export function temporaryPath(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  return `${path}.${process.pid}.${Date.now()}`;
}
