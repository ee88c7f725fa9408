/**
 * The files that `weftctl pod` and the daemon share, so that each works while the other is stopped.
 *
 *     <stateDir>/pods/wanted/<namespace>_<name>.json   written by weftctl, removed by the daemon: the pod is desired
 *     <stateDir>/pods/memory/<namespace>_<name>.json   written by the daemon: what it has to remember
 *     <runDir>/pods/<namespace>_<name>.json            written by the daemon: the pod's status
 *     <runDir>/pods/keeper                             by the daemon: its process, and why Docker is unreachable
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../disk/replace-file.ts';
import { isErrno } from '../../kernel/errno.ts';
import { type PodKey, parseKey } from '../manifest/key.ts';
import type { Pod } from '../manifest/pod.ts';
import type { Memory } from '../plan/memory.ts';
import type { Wanted } from '../plan/situation.ts';
import { readState } from './read-state.ts';
import { format, memoryShape, orderShape } from './shapes.ts';
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

export class PodFiles {
  /** Folder of the orders, to be watched. */
  readonly wantedDir: string;
  readonly statusDir: string;
  readonly memoryDir: string;
  /** Held by the one weft-podd of this stateDir. */
  readonly lockPath: string;
  /** Held while an order is written, and while weft-podd decides to end. */
  readonly gatePath: string;
  /** What weft-podd writes where no service manager keeps its log. */
  readonly logPath: string;
  /** Files of ConfigMaps and Secrets, for the pods that run. */
  readonly volumesDir: string;
  /** Parts of volumes, mounted for the containers that use them. */
  readonly subpathsDir: string;

  constructor({ stateDir, runDir }: Places) {
    this.wantedDir = join(stateDir, 'pods/wanted');
    this.memoryDir = join(stateDir, 'pods/memory');
    this.subpathsDir = join(stateDir, 'pods/subpaths');
    this.lockPath = join(stateDir, 'pods/lock');
    this.gatePath = join(stateDir, 'pods/gate');
    this.logPath = join(runDir, 'weft-podd.log');
    this.statusDir = join(runDir, 'pods');
    this.volumesDir = join(this.statusDir, 'volumes');
  }

  makeFolders(): void {
    for (const folder of [this.wantedDir, this.memoryDir, this.statusDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
  }

  /** The pods that have an order or a memory. */
  keys(): Set<PodKey> {
    return new Set([...this.orderKeys(), ...keysIn(this.memoryDir)]);
  }

  /** Whether the pod has an order or a memory, readable or not. */
  has(key: PodKey): boolean {
    return [this.wantedDir, this.memoryDir].some((folder) => existsSync(fileIn(folder, key)));
  }

  orderKeys(): PodKey[] {
    return keysIn(this.wantedDir);
  }

  /**
   * Undefined where there is none.
   *
   * @throws PodError `state` where it cannot be read
   */
  order(key: PodKey): Order | undefined {
    const path = fileIn(this.wantedDir, key);
    const remedy = "apply the pod's manifest again (weftctl pod apply -f FILE)";
    return readState<Order>({ path, shape: orderShape(key), remedy });
  }

  /** A manifest may hold secrets: for root only. */
  writeOrder(key: PodKey, order: Order): void {
    replaceFile({ path: fileIn(this.wantedDir, key), content: text(order), mode: 0o600 });
  }

  /** Removes the order, unless it has been replaced since. */
  removeOrder(key: PodKey, uid: string | undefined): void {
    if (this.order(key)?.uid === uid) rmSync(fileIn(this.wantedDir, key), { force: true });
  }

  /**
   * Undefined where there is none.
   *
   * @throws PodError `state` where it cannot be read
   */
  memory(key: PodKey): Memory | undefined {
    const path = fileIn(this.memoryDir, key);
    const remedy = `restore it from a backup, or remove it: the pod is then attached to the network again`;
    return readState<Memory>({ path, shape: memoryShape, remedy });
  }

  writeMemory(key: PodKey, memory: Memory): void {
    replaceFile({ path: fileIn(this.memoryDir, key), content: text(memory), mode: 0o600 });
  }

  removeMemory(key: PodKey): void {
    rmSync(fileIn(this.memoryDir, key), { force: true });
  }

  status(key: PodKey): PodStatus | undefined {
    return read<PodStatus>(fileIn(this.statusDir, key));
  }

  /** Nothing is lost with it: it need not survive a power failure, only be whole. */
  writeStatus(key: PodKey, status: PodStatus): void {
    place(fileIn(this.statusDir, key), text(status));
  }

  removeStatus(key: PodKey): void {
    rmSync(fileIn(this.statusDir, key), { force: true });
  }

  writeKeeper(state: KeeperState): void {
    place(join(this.statusDir, 'keeper'), text(state));
  }

  removeKeeper(): void {
    rmSync(join(this.statusDir, 'keeper'), { force: true });
  }

  /** What the daemon writes of itself; undefined where none runs. */
  keeper(): KeeperState | undefined {
    const state = read<KeeperState>(join(this.statusDir, 'keeper'));
    return state && startTicksOf(state.pid) === state.startTicks ? state : undefined;
  }
}

/** Undefined where the process has ended (proc_pid_stat(5), fields 3 and 22). */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in field 2 may hold anything, blanks and brackets included: count from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended: only its parent has not taken notice.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

const fileIn = (folder: string, key: PodKey): string => join(folder, `${key}.json`);

const text = (content: object): string => `${JSON.stringify({ version: format, ...content })}\n`;

/** Other files in the folder (unfinished ones, an editor's) are not pods. */
function keysIn(folder: string): PodKey[] {
  try {
    return readdirSync(folder).flatMap((name) =>
      name.endsWith('.json') ? (parseKey(name.slice(0, -'.json'.length)) ?? []) : [],
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Of runDir: nothing is decided by it, and the daemon writes it again. Undefined where it is absent or damaged. */
function read<T extends object>(path: string): T | undefined {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(content) as T & { version?: unknown };
    return value?.version === format ? value : undefined;
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

/** Equal for two manifests that mean the same: the order of their keys does not count. */
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
