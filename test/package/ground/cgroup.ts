/** A control group for a systemd of its own, in the machine's unified hierarchy. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

let made = 0;

/** Makes one and returns its folder. Throws where the machine has no unified hierarchy. */
export function makeCgroup(): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const unified = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1];
  if (!unified)
    throw new Error('these tests need cgroup2: mount it (mount -t cgroup2 cgroup2 /sys/fs/cgroup)');
  made += 1;
  const folder = join(unified, `weft-package-${process.pid}-${made}`);
  mkdirSync(folder);
  return folder;
}

/** Its processes have been told to end: once they have, it goes, with what is in it. */
export async function removeCgroup(folder: string): Promise<void> {
  while (readFileSync(join(folder, 'cgroup.events'), 'utf8').includes('populated 1')) await delay(20);
  removeTree(folder);
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
