/**
 * Removes a lab, whole or half: nothing here relies on what `lab up` wrote down. Processes are known by the
 * mark in their environment and by their network namespace, namespaces by their names. Nodes' mounts, but for their
 * `/run`, and pods' namespaces live in the nodes' mount namespaces and go with the last process in them.
 */
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '../kernel/ffi.ts';
import { removeCgroups } from './cgroup.ts';
import { run } from './command.ts';
import { LabError } from './errors.ts';
import { isMemberOf, labFolder, labsFolder } from './names.ts';
import { isRunning, processesOfLab, signalProcess } from './processes.ts';

const goneWithinMs = 10_000;
const namespacesFolder = '/run/netns';

export async function teardownLab(lab: string): Promise<void> {
  await endProcesses(lab);
  await removeCgroups(lab);
  await unmountBelow(labFolder(lab));
  await deleteNamespaces(lab);
  rmSync(labFolder(lab), { recursive: true, force: true });
  removeIfEmpty(labsFolder);
  await unmountNamespacesFolder();
}

/**
 * iproute2 mounts `/run/netns` on itself with the first namespace and never unmounts it. With the last one gone that
 * is a mount of the lab. Done under iproute2's lock, which `ip netns add` holds while it adds a namespace.
 */
async function unmountNamespacesFolder(): Promise<void> {
  if (!isMountPoint(namespacesFolder)) return;
  const folder = openSync(namespacesFolder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    if (!tryLock(folder, `lock ${namespacesFolder}`)) return;
    while (isMountPoint(namespacesFolder) && listNames(namespacesFolder).length === 0) {
      // It may be in use, by another lab that is just coming up: then it is that one's.
      if ((await run(['umount', namespacesFolder])).status !== 0) return;
    }
  } finally {
    closeSync(folder);
  }
}

/** Names of the lab's network namespaces that exist. */
const members = (lab: string): string[] =>
  listNames(namespacesFolder).filter((name) => isMemberOf(lab, name));

/** Repeatedly, because a process may start another one during the look. */
async function endProcesses(lab: string): Promise<void> {
  const inodes = new Set(members(lab).flatMap(inodeOf));
  for (const since = Date.now(); ; await delay(5)) {
    const left = processesOfLab(lab, inodes);
    if (left.length === 0) return;
    for (const process of left) signalProcess(process, 'SIGKILL');
    while (left.some(isRunning) && Date.now() - since <= goneWithinMs) await delay(2);
    if (Date.now() - since > goneWithinMs) {
      throw new LabError(`processes outlive SIGKILL: ${left.map((process) => process.pid).join(', ')}`);
    }
  }
}

/** Somebody else may take the lab down at the same moment: what counts is that nothing is left. */
async function deleteNamespaces(lab: string): Promise<void> {
  const names = members(lab);
  if (names.length === 0) return;
  const input = names.map((name) => `netns delete ${name}\n`).join('');
  const { stderr } = await run(['ip', '-force', '-batch', '-'], { input });
  const left = members(lab);
  if (left.length > 0)
    throw new LabError(`namespaces cannot be deleted: ${left.join(', ')}: ${stderr.trim()}`);
}

function inodeOf(namespace: string): string[] {
  const stat = statSync(join(namespacesFolder, namespace), { throwIfNoEntry: false });
  return stat ? [String(stat.ino)] : [];
}

/** Nodes' `/run`; and what a visitor may have mounted there, for `rm` must not go into it. */
async function unmountBelow(folder: string): Promise<void> {
  const points = mountPoints().filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.reverse()) {
    const outcome = await run(['umount', '--lazy', point]);
    // Whoever takes the lab down at the same moment may have been first.
    if (outcome.status !== 0 && isMountPoint(point))
      throw new LabError(`umount ${point}: ${outcome.stderr.trim()}`);
  }
}

const isMountPoint = (path: string): boolean => mountPoints().includes(path);

/** In the order in which they were mounted (proc_pid_mountinfo(5), field 5). */
const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
