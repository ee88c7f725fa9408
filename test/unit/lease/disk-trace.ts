/** Records the order in which the real disk is asked to sync, rename and remove. */
import fs, { readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { relative } from 'node:path';
import { mock } from 'node:test';

export interface DiskTrace {
  /** `sync FILE`, `rename FILE`, `remove FILE`, with the paths relative to the root. */
  readonly steps: readonly string[];
  stop(): void;
}

/** Calls go through to the kernel; `stop` before the next trace. */
export async function traceDisk(root: string): Promise<DiskTrace> {
  const steps: string[] = [];
  const note = (step: string, path: string): void => {
    steps.push(`${step} ${relative(root, path) || '.'}`);
  };
  const { fsyncSync, renameSync, rmSync } = fs;
  mock.method(fs, 'fsyncSync', (fd: number) => {
    note('sync', readlinkSync(`/proc/self/fd/${fd}`));
    fsyncSync(fd);
  });
  mock.method(fs, 'renameSync', (from: string, to: string) => {
    note(`rename ${relative(root, from)} to`, to);
    renameSync(from, to);
  });
  mock.method(fs, 'rmSync', (path: string, options: fs.RmOptions) => {
    if (fs.existsSync(path)) note('remove', path);
    rmSync(path, options);
  });
  const handle = await open('/proc/self/exe');
  const prototype = Object.getPrototypeOf(handle) as { sync(this: { fd: number }): Promise<void> };
  await handle.close();
  const { sync } = prototype;
  mock.method(prototype, 'sync', function (this: { fd: number }) {
    note('sync', readlinkSync(`/proc/self/fd/${this.fd}`));
    return sync.call(this);
  });
  syncBuiltinESMExports();
  return {
    steps,
    stop: () => {
      mock.restoreAll();
      syncBuiltinESMExports();
    },
  };
}
