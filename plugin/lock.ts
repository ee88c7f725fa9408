/** Waiting for what another process, or another call in this one, has locked (flock(2)). */
import { closeSync, fstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../kernel/ffi.ts';

/** On a machine that is short of time a call takes seconds; the relay waits for its agent's answer for 25 s. */
const WAIT_MS = 20_000;
const PAUSE_MS = { first: 1, longest: 50 };

/**
 * A file that is ours alone until it is closed; `busy` if somebody else keeps it for too long. `open` is asked again
 * whenever the file was removed before it could be locked; undefined, and at once, where it has none to give.
 */
export async function lockFile(
  path: string,
  open: () => number | undefined,
  { waitMs = WAIT_MS }: { readonly waitMs?: number } = {},
): Promise<number | 'busy' | undefined> {
  const deadlineMs = performance.now() + waitMs;
  for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
    const fd = open();
    if (fd === undefined || lockPresent(fd, path)) return fd;
    if (performance.now() > deadlineMs) return 'busy';
    await sleep(pauseMs);
  }
}

/** False, and the descriptor is closed, where another has the lock, or what was locked is there no more. */
function lockPresent(fd: number, path: string): boolean {
  let locked = false;
  try {
    locked = tryLock(fd, `lock ${path}`) && fstatSync(fd).nlink > 0;
    return locked;
  } finally {
    if (!locked) closeSync(fd);
  }
}
