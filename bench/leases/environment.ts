/** The environment of etcd and the agents of a measurement: a network namespace and a folder, removed at the end. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { interruptible } from '../interruptible.ts';

const namespace = 'weft-bench-leases';
const folder = join(tmpdir(), namespace);

/** Runs a program in it, which prints what it has measured. */
type Measure<T> = (environment: {
  /** What comes before the program's name. */
  readonly place: readonly string[];
  readonly folder: string;
}) => Promise<T>;

export async function inEnvironment<T>(measure: Measure<T>): Promise<T> {
  // Removes what a killed run has left.
  await teardown();
  return interruptible(teardown, () => {
    mkdirSync(folder);
    ip('netns', 'add', namespace);
    const within = (...args: string[]) => ip('-n', namespace, ...args);
    within('link', 'set', 'lo', 'up');
    within('link', 'add', 'underlay', 'type', 'veth', 'peer', 'name', 'far');
    within('address', 'add', '192.168.250.1/24', 'dev', 'underlay');
    within('link', 'set', 'far', 'up');
    within('link', 'set', 'underlay', 'up');
    return measure({ place: ['ip', 'netns', 'exec', namespace, 'sh', '-ec', ownCniDirectory], folder });
  });
}

/** `ip netns exec` makes a mount namespace. Its own /etc/cni keeps the agents' configuration out of the host's. */
const ownCniDirectory = 'mkdir -p /etc/cni; mount -t tmpfs cni /etc/cni; exec "$0" "$@"';

async function teardown(): Promise<void> {
  if (exists()) {
    while (endProcesses()) await pause(20);
    ip('netns', 'delete', namespace);
  }
  rmSync(folder, { recursive: true, force: true });
}

const exists = (): boolean =>
  ip('netns', 'list')
    .split('\n')
    .some((line) => line.split(' ')[0] === namespace);

/** Returns whether there were any. */
function endProcesses(): boolean {
  const pids = ip('netns', 'pids', namespace).split('\n').filter(Boolean).map(Number);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return pids.length > 0;
}

const ip = (...args: string[]): string => execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' });
