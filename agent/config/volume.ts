/**
 * A configuration file in a ConfigMap volume: the kubelet replaces all files at once by a symbolic link (`..data`).
 * A file that people edit has no such link. It may be half written, so it is read again only on request (reload).
 */
import { readlinkSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { isErrno } from '../../kernel/errno.ts';

/**
 * Calls back whenever the volume that the file is in has another content, until the signal fires. Returns whether the
 * file is in such a volume.
 */
export function followVolume(
  path: string,
  {
    onChange,
    onError,
    signal,
  }: { onChange: () => void; onError: (error: Error) => void; signal: AbortSignal },
): boolean {
  const folder = dirname(path);
  let content = contentOf(folder);
  if (content === undefined) return false;
  const watcher = watch(folder, { signal }, () => {
    const now = contentOf(folder);
    // The kubelet replaces the link atomically; it is absent only where another program writes the volume.
    if (now === undefined || now === content) return;
    content = now;
    onChange();
  });
  watcher.on('error', onError);
  return true;
}

/** The folder that `..data` points to: another one for each content. */
function contentOf(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, '..data'));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'EINVAL') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
