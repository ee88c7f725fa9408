/** `stateDir/lease.json`: the lease and the peers that a node starts with while the store is unreachable. */
import { join } from 'node:path';
import type { Clock } from '../../../clock/clock.ts';
import { field, isObject } from '../../../json/object.ts';
import { LeaseError } from '../errors.ts';
import { decodeExtension, encodeExtension } from '../extension.ts';
import { type ClusterConfig, decodeClusterConfig, encodeClusterConfig } from '../flannel/cluster-config.ts';
import { parseSubnetKey } from '../flannel/key.ts';
import { decodeValue, encodeValue } from '../flannel/value.ts';
import type { Lease } from '../lease.ts';
import type { SavedLease } from '../protocol/standing.ts';
import { readJsonFile } from './read-json.ts';

export const savedPath = (stateDir: string): string => join(stateDir, 'lease.json');

/** What the file holds. */
export interface SavedState {
  readonly lease: Lease;
  readonly cluster: ClusterConfig;
  readonly peers: readonly Lease[];
  readonly deadlineMs: number;
  /** Of the Node that gave the subnets, where the store is Kubernetes. */
  readonly nodeUid?: string | undefined;
}

export type ReadSaved =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly saved: SavedLease }
  /** `key` is the subnet that the node held, where that much can be read. */
  | { readonly kind: 'unreadable'; readonly reason: string; readonly key: string | undefined };

/** The file's text. */
export function encodeSaved({
  state,
  boot,
  clock,
}: {
  state: SavedState;
  boot: string;
  clock: Clock;
}): string {
  const wallMs = clock.wallNow();
  const object = {
    ...encodeLease(state.lease),
    cluster: encodeClusterConfig(state.cluster),
    nodeUid: state.nodeUid,
    boot,
    deadlineMs: state.deadlineMs,
    wallDeadlineMs: state.deadlineMs === 0 ? 0 : wallMs + state.deadlineMs - clock.now(),
    savedWallMs: wallMs,
    peers: state.peers.map(encodeLease),
  };
  return `${JSON.stringify(object)}\n`;
}

/**
 * What the node held before. Its deadline holds over a reboot by the wall clock, and not at all if that was turned
 * back. Never throws: a file that cannot be read must not keep an agent from a store that is reachable.
 */
export function readSaved(options: { stateDir: string; boot: string; clock: Clock }): ReadSaved {
  const { stateDir, boot, clock } = options;
  const path = savedPath(stateDir);
  const file = readJsonFile(path);
  if (file.kind === 'absent') return file;
  if (file.kind === 'unreadable') return { ...file, key: undefined };
  const { object } = file;
  const unreadable = (why: string): ReadSaved => {
    const key = typeof object.key === 'string' && parseSubnetKey(object.key) ? object.key : undefined;
    return { kind: 'unreadable', reason: `failed to read ${path}: ${why}`, key };
  };
  const lease = decodeLease(object);
  if (!lease) return unreadable('it holds no lease');
  if (typeof object.cluster !== 'string') return unreadable('it holds no cluster configuration');
  let cluster: ClusterConfig;
  try {
    cluster = decodeClusterConfig(object.cluster, path);
  } catch (error) {
    if (error instanceof LeaseError) return unreadable(error.message);
    throw error;
  }
  const nodeUid = typeof object.nodeUid === 'string' ? { nodeUid: object.nodeUid } : {};
  const peers = Array.isArray(object.peers) ? object.peers.filter(isObject) : [];
  const number = (name: string): number => Number(object[name]) || 0;
  const wallMs = clock.wallNow();
  const left = wallMs < number('savedWallMs') ? 0 : number('wallDeadlineMs') - wallMs;
  const deadlineMs = object.boot === boot ? number('deadlineMs') : left > 0 ? clock.now() + left : 0;
  return {
    kind: 'read',
    saved: {
      lease,
      cluster,
      peers: peers.flatMap((peer) => decodeLease(peer) ?? []),
      ...nodeUid,
      deadlineMs,
    },
  };
}

/** Encoded once for each of thousands: a lease that has not changed is the same object. */
function encodeLease(lease: Lease): object {
  const known = encoded.get(lease);
  if (known) return known;
  const extension = lease.extension && encodeExtension(lease.extension);
  const made = { key: lease.key, value: encodeValue(lease), name: lease.nodeName, extension };
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
  const extension = typeof object.extension === 'string' ? decodeExtension(object.extension) : undefined;
  return {
    key,
    subnets,
    ...attributes,
    ...(typeof name === 'string' ? { nodeName: name } : {}),
    ...(typeof extension === 'object' ? { extension } : {}),
  };
}
