/**
 * The cgroup of a lab's pods, in each of the machine's hierarchies (cgroups(7)): containers are in no namespace of the
 * lab's and carry no mark of it, so this is what they are found by.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { labCgroup, nodeCgroup } from './names.ts';
import { identify, signalProcess } from './processes.ts';

const hierarchies = '/sys/fs/cgroup';
const goneWithinMs = 20_000;

/** Makes a node's. Under version 1 there is a hierarchy per controller, under version 2 there is one. */
export function makeCgroup(lab: string, node: string): void {
  const unified = isDirectory(hierarchies) && readdirSync(hierarchies).includes('cgroup.controllers');
  const trees = unified
    ? ['.']
    : readdirSync(hierarchies).filter((name) => isDirectory(join(hierarchies, name)));
  for (const tree of trees) mkdirSync(join(hierarchies, tree, nodeCgroup(lab, node)), { recursive: true });
}

/** Ends every process in those of the lab's nodes and removes them; nothing happens where there is none. */
export async function removeCgroups(lab: string): Promise<void> {
  for (const folder of await endCgroup(labCgroup(lab))) removeFolder(folder);
}

/** Ends every process in a cgroup, in each of the hierarchies. Returns its folders there. */
export async function endCgroup(cgroup: string): Promise<string[]> {
  if (!isDirectory(hierarchies)) return [];
  const folders = ['.', ...readdirSync(hierarchies)]
    .map((tree) => join(hierarchies, tree, cgroup))
    .filter(isDirectory);
  const left = (): Set<number> => new Set(folders.flatMap(processesIn));
  // A process leaves its cgroup when it is reaped, which may be a little after its end.
  for (const since = Date.now(); left().size > 0 && Date.now() - since < goneWithinMs; await delay(20)) {
    for (const pid of left()) {
      const found = identify(pid);
      if (found) signalProcess(found, 'SIGKILL');
    }
  }
  return folders;
}

function processesIn(folder: string): number[] {
  if (!isDirectory(folder)) return [];
  const own = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  return [...own, ...foldersIn(folder).flatMap(processesIn)];
}

/** Depth first, as `rmdir` demands. */
function removeFolder(folder: string): void {
  for (const below of foldersIn(folder)) removeFolder(below);
  rmdirSync(folder);
}

const foldersIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(folder, name));

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
