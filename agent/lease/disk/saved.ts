/**
 * The lease on disk. `runDir/lease.json` is for this boot: until when the subnet is provably ours, for whoever
 * makes pods. `stateDir/lease.json` outlives a reboot: what to come up with while the store is away.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '../clock.ts';
import { type ClusterConfig, decodeClusterConfig, encodeClusterConfig } from '../flannel/cluster-config.ts';
import { field, isObject, parseJsonObject } from '../flannel/go-json.ts';
import { parseSubnetKey } from '../flannel/key.ts';
import { decodeValue, encodeValue } from '../flannel/value.ts';
import type { LeaseStatus } from '../holder.ts';
import type { Lease } from '../lease.ts';
import { type SavedLease, toldToLeave } from '../protocol/standing.ts';

/** The content of `runDir/lease.json`. */
export interface LeaseFile extends Pick<LeaseStatus, 'phase' | 'deadlineMs'> {
  /** The kernel's boot id: of another boot, the file says nothing. */
  readonly boot: string;
  /** `10.244.1.0-24` */
  readonly key: string;
  readonly reason: string | null;
}

export const leaseFilePath = (runDir: string): string => join(runDir, 'lease.json');

/** Undefined where there is none of this boot. */
export function readLeaseFile(
  runDir: string,
  boot: string,
): Pick<LeaseFile, 'key' | 'phase' | 'deadlineMs'> | undefined {
  const object = readObject(leaseFilePath(runDir));
  if (!object || object.boot !== boot || typeof object.key !== 'string') return undefined;
  const phase = phases.find((one) => one === object.phase) ?? 'lost';
  return { key: object.key, phase, deadlineMs: Number(object.deadlineMs) || 0 };
}

const phases = ['held', 'away', 'lost', 'left'] as const;

export const writeLeaseFile = (runDir: string, file: LeaseFile): void =>
  replaceFile(leaseFilePath(runDir), JSON.stringify(file));

/**
 * Ends the deadline on disk, from which a plugin without agent, or an agent that starts without store, would go on:
 * to be done before the subnet is given back for an agent that may not run.
 */
export function renounceSaved({ runDir, stateDir }: { runDir: string; stateDir: string }): void {
  const ended = { deadlineMs: 0, phase: 'left', reason: toldToLeave };
  for (const [path, changes] of [
    [join(stateDir, 'lease.json'), { deadlineMs: 0, wallDeadlineMs: 0 }],
    [leaseFilePath(runDir), ended],
  ] as const) {
    const object = readObject(path);
    if (object) replaceFile(path, JSON.stringify({ ...object, ...changes }));
  }
}

/** What is written to `stateDir/lease.json`, and read back by another life of this node. */
export interface SavedState {
  readonly lease: Lease;
  readonly cluster: ClusterConfig;
  readonly peers: readonly Lease[];
  readonly deadlineMs: number;
}

export function writeSaved(options: {
  stateDir: string;
  state: SavedState;
  boot: string;
  clock: Clock;
}): void {
  const { stateDir, state, boot, clock } = options;
  const wallMs = clock.wallNow();
  const object = {
    ...encodeLease(state.lease),
    cluster: encodeClusterConfig(state.cluster),
    boot,
    deadlineMs: state.deadlineMs,
    wallDeadlineMs: state.deadlineMs === 0 ? 0 : wallMs + state.deadlineMs - clock.now(),
    savedWallMs: wallMs,
    peers: state.peers.map(encodeLease),
  };
  replaceFile(join(stateDir, 'lease.json'), JSON.stringify(object));
}

/**
 * The lease of before; undefined where there is none that can be read. Its deadline holds over a reboot by the
 * wall clock, and not at all if that was turned back.
 */
export function readSaved(options: { stateDir: string; boot: string; clock: Clock }): SavedLease | undefined {
  const { stateDir, boot, clock } = options;
  const path = join(stateDir, 'lease.json');
  const object = readObject(path);
  const lease = object && decodeLease(object);
  if (!object || !lease || typeof object.cluster !== 'string') return undefined;
  const peers = Array.isArray(object.peers) ? object.peers.filter(isObject) : [];
  const number = (name: string): number => Number(object[name]) || 0;
  const wallMs = clock.wallNow();
  const left = wallMs < number('savedWallMs') ? 0 : number('wallDeadlineMs') - wallMs;
  return {
    lease,
    cluster: decodeClusterConfig(object.cluster, path),
    peers: peers.flatMap((peer) => decodeLease(peer) ?? []),
    deadlineMs: object.boot === boot ? number('deadlineMs') : left > 0 ? clock.now() + left : 0,
  };
}

/** Made of each of thousands once: a lease that has not changed is the same object. */
function encodeLease(lease: Lease): object {
  const known = encoded.get(lease);
  if (known) return known;
  const made = { key: lease.key, value: encodeValue(lease), name: lease.nodeName };
  encoded.set(lease, made);
  return made;
}

const encoded = new WeakMap<Lease, object>();

function decodeLease(object: Record<string, unknown>): Lease | undefined {
  const [key, value, name] = ['key', 'value', 'name'].map((part) => field(object, part));
  if (typeof key !== 'string' || typeof value !== 'string') return undefined;
  const subnets = parseSubnetKey(key);
  const attributes = decodeValue(value);
  if (!subnets || typeof attributes === 'string') return undefined;
  return { key, subnets, ...attributes, ...(typeof name === 'string' ? { nodeName: name } : {}) };
}

/** Undefined where there is no such file, or no JSON object in it. */
export function readObject(path: string): Record<string, unknown> | undefined {
  try {
    return parseJsonObject(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export function replaceFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${content}\n`, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}
