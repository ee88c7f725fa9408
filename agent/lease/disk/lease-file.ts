/**
 * `runDir/lease.json`, for this boot: until when the subnet is provably held. The plugin reads it before it makes
 * a pod. Of another boot it says nothing, so a power loss cannot leave a wrong one.
 */
import { join } from 'node:path';
import { replaceFile } from '../../../disk/replace-file.ts';
import type { LeasePhase, LeaseStatus } from '../holder.ts';
import { readJsonFile } from './read-json.ts';

/** The file's content. */
export interface LeaseFile extends Pick<LeaseStatus, 'phase' | 'deadlineMs'> {
  /** The kernel's boot id. */
  readonly boot: string;
  /** `10.244.1.0-24` */
  readonly key: string;
  readonly reason: string | null;
}

export type ReadLeaseFile =
  /** No file, or one of another boot. */
  | { readonly kind: 'absent' }
  | ({ readonly kind: 'read' } & Pick<LeaseFile, 'key' | 'phase' | 'deadlineMs'>)
  | { readonly kind: 'unreadable'; readonly reason: string };

const phases: readonly LeasePhase[] = ['held', 'away', 'lost', 'left'];

export const leaseFilePath = (runDir: string): string => join(runDir, 'lease.json');

export function readLeaseFile(runDir: string, boot: string): ReadLeaseFile {
  const path = leaseFilePath(runDir);
  const file = readJsonFile(path);
  if (file.kind !== 'object') return file;
  const { object } = file;
  if (typeof object.boot !== 'string' || typeof object.key !== 'string') {
    return { kind: 'unreadable', reason: `failed to read ${path}: it has no boot or no key` };
  }
  if (object.boot !== boot) return { kind: 'absent' };
  const phase = phases.find((one) => one === object.phase) ?? 'lost';
  return { kind: 'read', key: object.key, phase, deadlineMs: Number(object.deadlineMs) || 0 };
}

/** Throws `AgentError` `state`. */
export function writeLeaseFile(runDir: string, file: LeaseFile): void {
  replaceFile({ path: leaseFilePath(runDir), content: `${JSON.stringify(file)}\n`, durable: false });
}
