/**
 * The file store's folder as plain files. Whoever touches it holds the lock; a change of several files is first
 * written down whole in a journal, so that a process killed half-way is completed by the next one.
 *
 *   config  subnets/10.244.1.0-24                      flannel's layout, values and nothing else
 *   weft/nodes/ID  weft/released/KEY  weft/claims/KEY  records of our own
 *   weft/sessions/S    {"ttlSeconds":86400,"keys":[...]}: what goes when the session ends
 *   weft/heartbeats/S  "BOOT_ID MILLISECONDS": the last renewal by CLOCK_BOOTTIME
 *   weft/lock  weft/journal  weft/tmp/
 */

import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseObject } from '../../../../json/object.ts';
import { isErrno } from '../../../../kernel/errno.ts';
import { tryLock } from '../../../../kernel/ffi.ts';
import { StoreError } from '../../errors.ts';

/** Where records may lie; everything else under the root is the store's own, or foreign and left alone. */
export const recordFolders = [
  'subnets',
  'weft/nodes',
  'weft/released',
  'weft/claims',
  'weft/questions',
  'weft/answers',
] as const;
const ownFolders = [...recordFolders, 'weft/sessions', 'weft/heartbeats', 'weft/tmp'] as const;

const lockTimeoutMs = 5000;
/** Far beyond the grain of a file's times (a tick of the kernel's clock). */
const SETTLED_NS = 1_000_000_000n;

export interface FileRecord {
  readonly value: string;
  readonly version: string;
}

export class Folder {
  readonly root: string;
  /** What was read of files that have settled. */
  readonly #known = new Map<string, FileRecord & { readonly stamp: string }>();

  constructor(root: string) {
    this.root = root;
  }

  /** Throws `StoreError` `refused` for a name outside the layout. */
  path(name: string): string {
    if (!isOwnName(name)) {
      throw new StoreError(
        'refused',
        `${this.root}: ${JSON.stringify(name)} is not a name of the file store`,
      );
    }
    return join(this.root, name);
  }

  folderPath(folder: (typeof ownFolders)[number] | '.'): string {
    return join(this.root, folder);
  }

  /**
   * Makes the missing folders of the layout. Throws `StoreError` `refused`, also where one of them is a symbolic link:
   * what is written there would land elsewhere.
   */
  ensure(): void {
    for (const folder of ['.', 'weft', ...ownFolders]) {
      const path = join(this.root, folder);
      try {
        mkdirSync(path, { recursive: true, mode: 0o755 });
      } catch (error) {
        throw failure('refused', `failed to create the store's folder ${path}`, error);
      }
      if (folder !== '.' && !lstatSync(path).isDirectory()) {
        throw new StoreError('refused', `${path} is a symbolic link: replace it by a folder`);
      }
    }
  }

  /** Runs the block as the only one in the folder, after completing what a killed process left. */
  async locked<T>(signal: AbortSignal, block: () => T | Promise<T>): Promise<T> {
    this.ensure();
    const { O_CREAT, O_APPEND, O_WRONLY, O_NOFOLLOW } = constants;
    const fd = openSync(this.path('weft/lock'), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      const giveUpMs = Date.now() + lockTimeoutMs;
      while (!tryLock(fd, `lock ${this.path('weft/lock')}`)) {
        signal.throwIfAborted();
        if (Date.now() > giveUpMs)
          throw new StoreError('away', `${this.root}: another process holds the lock`);
        await sleep(1 + Math.random() * 4);
      }
      signal.throwIfAborted();
      this.#completeJournal();
      return await block();
    } catch (error) {
      if (error instanceof StoreError || signal.aborted) throw error;
      throw failure('away', this.root, error);
    } finally {
      closeSync(fd);
    }
  }

  /** The same object as long as the file is the same. */
  read(name: string): FileRecord | undefined {
    try {
      const stat = lstatSync(this.path(name), { bigint: true });
      if (!stat.isFile()) return this.#forget(name);
      const stamp = `${stat.ino}.${stat.ctimeNs}`;
      const known = this.#known.get(name);
      if (known?.stamp === stamp) return known;
      const value = readFileSync(this.path(name), 'utf8');
      // Inode numbers are used again and times have a grain: the content tells the rest.
      const hash = createHash('sha1').update(value).digest('base64url');
      const record = { value, version: `${stamp}.${hash}`, stamp };
      // A file that is so young may yet change within the grain of its time: it is read again the next time.
      if (BigInt(Date.now()) * 1_000_000n - stat.ctimeNs > SETTLED_NS) this.#known.set(name, record);
      else this.#known.delete(name);
      return record;
    } catch (error) {
      if (isMissing(error)) return this.#forget(name);
      throw error;
    }
  }

  #forget(name: string): undefined {
    this.#known.delete(name);
  }

  /** Names of the files in a folder, sorted. */
  names(folder: (typeof ownFolders)[number]): string[] {
    try {
      return readdirSync(this.folderPath(folder)).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** All or none of the changes, durable when it returns: name → content, undefined to delete. */
  change(files: ReadonlyMap<string, string | undefined>): void {
    const entries = [...files].map(([name, content]) => [name, content ?? null]);
    this.#write('weft/journal', JSON.stringify(Object.fromEntries(entries)), { sync: true });
    syncFolder(join(this.root, 'weft'));
    this.#completeJournal();
  }

  /** Replaces one file at once; the content is not worth a disk flush. */
  replace(name: string, content: string): void {
    this.#write(name, content, { sync: false });
  }

  #completeJournal(): void {
    const journal = this.read('weft/journal');
    if (!journal) return;
    // The journal is synced before it gets its name, so one that is not JSON was not written by a store.
    const files = parseObject(journal.value) ?? {};
    const folders = new Set<string>();
    for (const [name, content] of Object.entries(files)) {
      // A name that leads out of the folder is not followed.
      if (!isOwnName(name)) continue;
      if (typeof content === 'string') this.#write(name, content, { sync: true });
      else rmSync(this.path(name), { force: true });
      folders.add(dirname(this.path(name)));
    }
    for (const folder of folders) syncFolder(folder);
    rmSync(this.path('weft/journal'), { force: true });
  }

  #write(name: string, content: string, { sync }: { sync: boolean }): void {
    // The lock's holder alone writes, so one temporary name is enough and nothing piles up.
    const temporary = this.path('weft/tmp/next');
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      // Unlike writeSync, this writes all of it or throws.
      writeFileSync(fd, content);
      if (sync) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.path(name));
  }
}

/** `config`, or one name in one of the layout's folders. */
export function isOwnName(name: string): boolean {
  if (name === 'config' || name === 'weft/lock' || name === 'weft/journal') return true;
  const folder = ownFolders.find((own) => name.startsWith(`${own}/`));
  const rest = folder === undefined ? '' : name.slice(folder.length + 1);
  return rest !== '' && rest !== '.' && rest !== '..' && !rest.includes('/') && !rest.includes('\0');
}

/** A record's key: what a session may name, which is deleted when the session ends. */
export const isRecordName = (name: string): boolean =>
  isOwnName(name) && (name === 'config' || recordFolders.some((folder) => name.startsWith(`${folder}/`)));

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const isMissing = (error: unknown): boolean => isErrno(error, 'ENOENT', 'ENOTDIR');

const failure = (kind: 'away' | 'refused', what: string, cause: unknown): StoreError =>
  new StoreError(kind, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
