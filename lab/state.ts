/** State between invocations of `weftctl lab`: small JSON files in the lab's folder. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LabError } from './errors.ts';
import { labFolder, labsFolder, nodeFolder } from './names.ts';
import type { ProcessId } from './processes.ts';
import type { Topology } from './topology.ts';

/** `etcd`: one or more members, as the topology says. `kubernetes`: the nodes are bare; what runs there is applied. */
export type LabStore = 'file' | 'etcd' | 'kubernetes';

export interface LabRecord {
  readonly topology: Topology;
  readonly backend: string;
  readonly store: LabStore;
}

export interface PodRecord {
  readonly name: string;
  readonly node: string;
  readonly containerId: string;
  /** Without their prefix length; empty until ADD has answered. */
  readonly addresses: readonly string[];
}

/** Claims the lab's name by making its folder; throws `LabError` if there is such a lab, or half of one. */
export function claimLab(lab: string): void {
  mkdirSync(labsFolder, { recursive: true });
  try {
    mkdirSync(labFolder(lab));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new LabError(`the lab ${lab} exists: "${downCommand(lab)}" removes it, --name gives another`);
  }
}

export const downCommand = (lab: string): string => `weftctl lab --name ${lab} down`;

export const saveLab = (lab: string, record: LabRecord): void =>
  writeJson(join(labFolder(lab), 'lab.json'), record);

/** Throws `LabError` if there is no such lab, or `lab up` did not come so far. */
export function loadLab(lab: string): LabRecord {
  const record = readJson(join(labFolder(lab), 'lab.json'));
  if (record) return record as LabRecord;
  const others = labNames().filter((name) => name !== lab);
  const hint = others.length > 0 ? `; there are ${others.join(', ')} (--name)` : '';
  throw new LabError(`there is no lab ${lab}: "weftctl lab --name ${lab} up" makes it${hint}`);
}

/** Every lab that has a folder, whole or not. */
export const labNames = (): string[] => entries(labsFolder);

const holderFile = (lab: string, node: string): string => join(nodeFolder(lab, node), 'holder.json');

export const saveHolder = (lab: string, node: string, holder: ProcessId): void =>
  saveProcess(holderFile(lab, node), holder);

export const loadHolder = (lab: string, node: string): ProcessId | undefined =>
  loadProcess(holderFile(lab, node));

export const saveProcess = (file: string, process: ProcessId): void => writeJson(file, process);

export const loadProcess = (file: string): ProcessId | undefined => readJson(file) as ProcessId | undefined;

const podsFolder = (lab: string, node: string): string => join(nodeFolder(lab, node), 'pods');

export const podFile = (lab: string, pod: { node: string; name: string }): string =>
  join(podsFolder(lab, pod.node), `${pod.name}.json`);

export const savePod = (lab: string, pod: PodRecord): void => writeJson(podFile(lab, pod), pod);

/** Every pod of a node, in the order of their names. */
export const loadPods = (lab: string, node: string): PodRecord[] =>
  entries(podsFolder(lab, node))
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => (readJson(join(podsFolder(lab, node), file)) as PodRecord | undefined) ?? []);

/** By rename, so that a reader sees all of it or nothing. */
function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, `${JSON.stringify(value)}\n`);
  renameSync(temporary, path);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
