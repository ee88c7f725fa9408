/**
 * What `weftctl pod` and the agent tell each other: files, so that neither has to be there for the other to go on.
 *
 *     <stateDir>/pods/wanted/<namespace>_<name>.json   written by weftctl, removed by the agent: the pod is to be
 *     <stateDir>/pods/memory/<namespace>_<name>.json   the agent's own
 *     <runDir>/pods/<namespace>_<name>.json            written by the agent: how the pod is
 *     <runDir>/pods/keeper                             written by the agent: that it keeps pods, and whether Docker is there
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../agent/disk/replace-file.ts';
import type { Pod } from '../manifest/pod.ts';
import type { Memory } from '../plan/memory.ts';
import type { Wanted } from '../plan/plan.ts';
import type { PodStatus } from './status.ts';

export interface Order extends Wanted {
  /** Of the manifest's content: the same content is no change. */
  readonly digest: string;
  /** ISO 8601. */
  readonly appliedAt: string;
  /** In place of the one that weft makes. */
  readonly pauseImage: string | undefined;
}

export interface KeeperState {
  readonly pid: number;
  /** Clock ticks since boot, as in /proc/PID/stat: pids are used again. */
  readonly startTicks: string;
  /** Why Docker is not there; undefined where it is, or is not needed. */
  readonly away: string | undefined;
}

export interface Places {
  readonly stateDir: string;
  readonly runDir: string;
}

/** Another is not read: its writer knows more. */
const version = 1;

export class PodFiles {
  /** Folder of the orders, to be watched. */
  readonly wantedDir: string;
  readonly statusDir: string;
  readonly #memoryDir: string;

  constructor({ stateDir, runDir }: Places) {
    this.wantedDir = join(stateDir, 'pods/wanted');
    this.#memoryDir = join(stateDir, 'pods/memory');
    this.statusDir = join(runDir, 'pods');
  }

  makeFolders(): void {
    for (const folder of [this.wantedDir, this.#memoryDir, this.statusDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
  }

  /** The pods of which there is an order or a memory. */
  keys(): Set<string> {
    return new Set([...this.orderKeys(), ...keysIn(this.#memoryDir)]);
  }

  orderKeys(): string[] {
    return keysIn(this.wantedDir);
  }

  order(key: string): Order | undefined {
    return read<Order>(fileIn(this.wantedDir, key));
  }

  /** A manifest may hold secrets: for root only. */
  writeOrder(key: string, order: Order): void {
    replaceFile({ path: fileIn(this.wantedDir, key), content: text(order), mode: 0o600 });
  }

  /** Removes the order, unless it is another by now. */
  removeOrder(key: string, uid: string | undefined): void {
    if (this.order(key)?.uid === uid) rmSync(fileIn(this.wantedDir, key), { force: true });
  }

  memory(key: string): Memory | undefined {
    return read<Memory>(fileIn(this.#memoryDir, key));
  }

  writeMemory(key: string, memory: Memory): void {
    replaceFile({ path: fileIn(this.#memoryDir, key), content: text(memory), mode: 0o600 });
  }

  removeMemory(key: string): void {
    rmSync(fileIn(this.#memoryDir, key), { force: true });
  }

  status(key: string): PodStatus | undefined {
    return read<PodStatus>(fileIn(this.statusDir, key));
  }

  /** Nothing is lost with it: it need not survive a power failure, only be whole. */
  writeStatus(key: string, status: PodStatus): void {
    place(fileIn(this.statusDir, key), text(status));
  }

  removeStatus(key: string): void {
    rmSync(fileIn(this.statusDir, key), { force: true });
  }

  writeKeeper(state: KeeperState): void {
    place(join(this.statusDir, 'keeper'), text(state));
  }

  /** What the agent says of itself; undefined where none runs. */
  keeper(): KeeperState | undefined {
    const state = read<KeeperState>(join(this.statusDir, 'keeper'));
    return state && startTicksOf(state.pid) === state.startTicks ? state : undefined;
  }
}

/** Undefined where there is no such process (proc_pid_stat(5), field 22). */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in field 2 may hold anything, blanks and brackets included: count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

const fileIn = (folder: string, key: string): string => join(folder, `${key}.json`);

const text = (content: object): string => `${JSON.stringify({ version, ...content })}\n`;

function keysIn(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((name) =>
      name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : [],
    );
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** Undefined where there is none, or one that is not of our making. */
function read<T extends object>(path: string): T | undefined {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(content) as T & { version?: unknown };
    return value.version === version ? value : undefined;
  } catch {
    return undefined;
  }
}

function place(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const unfinished = `${path}.${process.pid}.new`;
  writeFileSync(unfinished, content, { mode: 0o600 });
  renameSync(unfinished, path);
}

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** What makes two manifests one, in whatever order their labels were written. */
export const contentOf = (pod: Pod, pauseImage: string | undefined): string =>
  JSON.stringify(sorted({ ...pod, pauseImage }));

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, inner]) => [key, sorted(inner)]),
        )
      : value;
