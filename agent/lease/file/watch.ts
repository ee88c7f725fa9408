/** When the file store's folder may have changed: by inotify at once, by the timer in any case. */
import { type FSWatcher, watch } from 'node:fs';
import { Bell } from '../bell.ts';
import { systemClock } from '../clock.ts';
import { type Folder, recordFolders } from './folder.ts';

/** Yields at once, then after every change and every `pollSeconds`; ends when the signal fires. */
export async function* folderChanges(options: {
  folder: Folder;
  pollSeconds: number;
  signal: AbortSignal;
}): AsyncGenerator<void> {
  const { folder, pollSeconds, signal } = options;
  const bell = new Bell();
  let watchers: FSWatcher[] = [];
  const close = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  try {
    while (!signal.aborted) {
      if (watchers.length === 0) watchers = openIfPossible(folder, bell, close);
      yield;
      await bell.wait(pollSeconds * 1000, systemClock, signal).catch(() => undefined);
    }
  } finally {
    close();
  }
}

/** Where the kernel has no watch left (fs.inotify.max_user_watches) the timer alone must do; tried every round. */
function openIfPossible(folder: Folder, bell: Bell, lost: () => void): FSWatcher[] {
  try {
    return open(folder, bell, lost);
  } catch {
    return [];
  }
}

function open(folder: Folder, bell: Bell, lost: () => void): FSWatcher[] {
  folder.ensure();
  return ['.', ...recordFolders].map((name) => {
    const watcher = watch(folder.path(name), { persistent: false }, (event, file) => {
      // A folder that was removed is watched no more: the next round makes and watches it anew.
      if (event === 'rename' && file !== null && recordFolders.some((own) => own.split('/').at(-1) === file))
        lost();
      bell.ring();
    });
    watcher.on('error', () => {
      lost();
      bell.ring();
    });
    return watcher;
  });
}
