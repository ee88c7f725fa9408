/** When the file store's folder may have changed, and where: by inotify at once, by the timer in any case. */
import { type FSWatcher, watch } from 'node:fs';
import { systemClock } from '../../../../clock/clock.ts';
import { Bell } from '../../../../retry/bell.ts';
import { type Folder, recordFolders } from './folder.ts';

/** Names of files that changed, relative to the folder; `undefined`: any may have. */
export type FolderChange = ReadonlySet<string> | undefined;

/** Watches may lose an event without a word (fs.inotify.max_queued_events): all is looked at after so many polls. */
const POLLS_BETWEEN_WHOLE = 12;

/** Yields at once, then after every change and every `pollSeconds`; ends when the signal fires. */
export async function* folderChanges(options: {
  folder: Folder;
  pollSeconds: number;
  signal: AbortSignal;
}): AsyncGenerator<FolderChange> {
  const { folder, pollSeconds, signal } = options;
  const bell = new Bell(systemClock);
  let changed = new Set<string>();
  let whole = true;
  let watchers: FSWatcher[] = [];
  const close = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const onEvent = (name: string | undefined): void => {
    if (name === undefined) whole = true;
    else changed.add(name);
    bell.ring();
  };
  const lost = (): void => {
    close();
    whole = true;
  };
  try {
    for (let polls = 1; !signal.aborted; polls++) {
      // Without a watch, and when there is one anew, nothing is known of what happened meanwhile.
      if (watchers.length === 0) {
        watchers = openIfPossible(folder, onEvent, lost);
        whole = true;
      }
      const change = whole || polls % POLLS_BETWEEN_WHOLE === 0 ? undefined : changed;
      whole = false;
      changed = new Set();
      yield change;
      await bell.wait(pollSeconds * 1000, signal);
    }
  } finally {
    close();
  }
}

/** Where the kernel has no watch left (fs.inotify.max_user_watches) the timer alone must do; tried every round. */
function openIfPossible(
  folder: Folder,
  onEvent: (name: string | undefined) => void,
  lost: () => void,
): FSWatcher[] {
  try {
    return open(folder, onEvent, lost);
  } catch {
    return [];
  }
}

function open(folder: Folder, onEvent: (name: string | undefined) => void, lost: () => void): FSWatcher[] {
  folder.ensure();
  return (['.', ...recordFolders] as const).map((name) => {
    const watcher = watch(folder.folderPath(name), { persistent: false }, (event, file) => {
      // A folder that was removed is watched no more: the next round makes and watches it anew.
      if (event === 'rename' && file !== null && recordFolders.some((own) => own.split('/').at(-1) === file))
        lost();
      onEvent(file === null ? undefined : name === '.' ? file : `${name}/${file}`);
    });
    watcher.on('error', () => {
      lost();
      onEvent(undefined);
    });
    return watcher;
  });
}
