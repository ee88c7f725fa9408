/**
 * Processes by what the kernel says of them. A process is a pid *and* its start time: pids are used again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processMark } from './names.ts';

export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot (proc_pid_stat(5), field 22). */
  readonly startTicks: string;
}

/** The identity of a running process; undefined if there is none (a zombie is none). */
export function identify(pid: number): ProcessId | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (!stat) return undefined;
  // The name in field 2 may hold anything, blanks and brackets included: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return startTicks === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTicks };
}

export const isRunning = (process: ProcessId): boolean =>
  identify(process.pid)?.startTicks === process.startTicks;

/** Sends a signal unless the process is gone; says whether it was there. */
export function signalProcess(target: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isRunning(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Every process of a lab: those that carry its mark in their environment, and those in one of its network
 * namespaces (`dev:inode` as `ls -Li /run/netns` shows them). Never ourselves or an ancestor of ours.
 */
export function processesOfLab(lab: string, netnsInodes: ReadonlySet<string>): ProcessId[] {
  const spared = ancestors();
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && !spared.has(Number(entry)))
    .filter((entry) => isMarked(entry, lab) || netnsInodes.has(netnsInode(entry) ?? ''))
    .flatMap((entry) => identify(Number(entry)) ?? []);
}

const isMarked = (pid: string, lab: string): boolean =>
  (read(`/proc/${pid}/environ`) ?? '').split('\0').includes(`${processMark}=${lab}`);

/** Inode of the network namespace a process is in, as text. */
export function netnsInode(pid: string): string | undefined {
  try {
    return /^net:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[1];
  } catch {
    return undefined; // gone, or a zombie
  }
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 0 && !found.has(pid); ) {
    found.add(pid);
    const stat = read(`/proc/${pid}/stat`) ?? '';
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return found;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // gone between the listing and now
  }
}
