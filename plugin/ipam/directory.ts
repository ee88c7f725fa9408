/**
 * One network's allocations on disk, shared by every process that makes pods (agent and standalone plugin):
 *
 *     <runDir>/ipam/<network>/<address>                     who has it (record.ts)
 *     <runDir>/ipam-order/<network>/boot                    the boot for which all of this holds
 *     <runDir>/ipam-order/<network>/released/<time>.<address>   since when it is free again, for the order
 *     <runDir>/ipam-order/<network>/new/<digest of owner>   a record being written
 *
 * An address is taken by link(2) of a finished file, which succeeds for one process only, and released by
 * rename(2) of the same file to the queue of released addresses: both are whole at any instant, so there is
 * nothing to repair after a kill. Nothing is fsynced: what a power loss could tear is of another boot.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../inet/digest.ts';
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import { isErrno } from '../../kernel/errno.ts';
import { tryLock } from '../../kernel/ffi.ts';
import { CniError } from '../errors.ts';
import type { Released } from './order.ts';
import { type AllocationRecord, decodeRecord, encodeRecord, type Owner } from './record.ts';

/** An address's file as it was found. */
export interface Found {
  /** Undefined where the file is empty or damaged. */
  readonly record: AllocationRecord | undefined;
  readonly inode: bigint;
  readonly mtimeMs: number;
}

/** A network's name as a file name: the name itself unless it is too long for one. */
export function fileNameOf(network: string): string {
  if (network.length <= 128) return network;
  return `${network.slice(0, 64)}-${digestOf(network).toString('hex').slice(0, 32)}`;
}

/** A draft is linked within microseconds; one this old has lost its writer. */
const DRAFT_LIFE_MS = 60_000;
const LOCK_WAIT_MS = 2000;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export class NetworkDirectory {
  readonly path: string;
  readonly orderPath: string;
  readonly #released: string;
  readonly #new: string;

  constructor(runDir: string, network: string) {
    this.path = join(runDir, 'ipam', fileNameOf(network));
    this.orderPath = join(runDir, 'ipam-order', fileNameOf(network));
    this.#released = join(this.orderPath, 'released');
    this.#new = join(this.orderPath, 'new');
  }

  ensure(): void {
    for (const path of [this.path, this.#released, this.#new])
      mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  /** Makes the address the owner's; false if it is somebody's already. */
  take(address: Ip, record: AllocationRecord): boolean {
    const draft = this.#draftOf(record);
    try {
      writeFileSync(draft, encodeRecord(record), { mode: 0o600 });
      linkSync(draft, this.#fileOf(address));
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw error;
    } finally {
      unlinkIfThere(draft);
    }
  }

  /** Who has the address; undefined if nobody does. */
  find(address: Ip): Found | undefined {
    try {
      const fd = openSync(this.#fileOf(address), 'r');
      try {
        const { ino: inode, mtimeMs } = fstatSync(fd, { bigint: true });
        return { record: decodeRecord(readFileSync(fd, 'utf8')), inode, mtimeMs: Number(mtimeMs) };
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Frees the address if its file is still the one that was found; undefined if it is not. */
  release(address: Ip, found: Found): Released | undefined {
    const marker = `${process.hrtime.bigint().toString().padStart(20, '0')}.${formatIp(address)}`;
    const freed = join(this.#released, marker);
    try {
      renameSync(this.#fileOf(address), freed);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      if (!existsSync(this.#fileOf(address))) return undefined;
      // It is the queue's directory that somebody removed.
      this.ensure();
      renameSync(this.#fileOf(address), freed);
    }
    if (statSync(freed, { bigint: true }).ino === found.inode) return { address, marker };
    // Between finding and renaming, somebody released it and somebody else took it: give it back.
    linkSync(freed, this.#fileOf(address));
    unlinkSync(freed);
    return undefined;
  }

  /** Addresses that have a file, whatever is in it. */
  taken(): Ip[] {
    return list(this.path)
      .map((name) => parseIp(name))
      .filter((address) => address !== undefined);
  }

  /** Released addresses, oldest first; of several markers for one address the latest counts. */
  released(): Released[] {
    const latest = new Map<string, Released>();
    for (const marker of list(this.#released).sort()) {
      const text = marker.slice(marker.indexOf('.') + 1);
      const address = parseIp(text);
      if (!address) continue;
      const older = latest.get(text);
      if (older) this.forget(older.marker);
      latest.delete(text);
      latest.set(text, { address, marker });
    }
    return [...latest.values()];
  }

  /** Drops a marker that has become void. */
  forget(marker: string): void {
    rmSync(join(this.#released, marker), { force: true });
  }

  /** Changes whenever a marker comes or goes, whichever process did it. */
  releasedVersion(): bigint {
    return statSync(this.#released, { bigint: true }).mtimeNs;
  }

  /** Forgets who had the address, without a place in the order: for what is of another boot. */
  drop(address: Ip): void {
    rmSync(this.#fileOf(address), { force: true });
  }

  /** Drops all that is known about the order. */
  forgetOrder(): void {
    for (const name of list(this.#released)) rmSync(join(this.#released, name), { force: true });
  }

  /** Drops what a process left behind that died while it wrote a record of this owner. */
  forgetDraft(owner: Owner): void {
    unlinkIfThere(this.#draftOf(owner));
  }

  /** The same for every owner that does not live, and for what is not whole and old. */
  forgetDrafts(lives: (owner: Owner) => boolean): void {
    for (const name of list(this.#new)) {
      const draft = join(this.#new, name);
      const written = statSync(draft, { throwIfNoEntry: false });
      if (!written) continue;
      const owner = decodeRecord(readFileSync(draft, 'utf8'));
      const old = Date.now() - written.mtimeMs > DRAFT_LIFE_MS;
      if (old || (owner && !lives(owner))) unlinkIfThere(draft);
    }
  }

  /** The boot for which the directory holds; undefined in a new one. */
  bootId(): string | undefined {
    try {
      return readFileSync(join(this.orderPath, 'boot'), 'utf8').trim();
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Runs the block while no other process is inside one; a block takes milliseconds. */
  exclusively<T>(block: (setBootId: (bootId: string) => void) => T): T {
    const path = join(this.orderPath, 'boot');
    const fd = openSync(path, 'a+', 0o600);
    try {
      for (let waited = 0; !tryLock(fd, `lock ${path}`); waited++) {
        if (waited > LOCK_WAIT_MS)
          throw new CniError('try-again-later', `${path} is locked by another process`);
        Atomics.wait(sleeper, 0, 0, 1);
      }
      return block((bootId) => {
        ftruncateSync(fd);
        writeSync(fd, `${bootId}\n`);
      });
    } finally {
      closeSync(fd);
    }
  }

  /** One per owner, who takes one address at a time: so that a killed writer's draft is found again. */
  #draftOf({ containerId, ifname }: Owner): string {
    const digest = digestOf(`${containerId}\0${ifname}`);
    return join(this.#new, digest.toString('hex').slice(0, 32));
  }

  readonly #fileOf = (address: Ip): string => join(this.path, formatIp(address));
}

/** In one system call, where `rmSync` takes two. */
function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    // A file system that has become read-only refuses before it looks.
    if (!isErrno(error, 'ENOENT') && existsSync(path)) throw error;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
