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
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../../../../kernel/ffi.ts';
import { StoreError } from '../../errors.ts';
import { isObject, parseJsonObject } from '../../flannel/go-json.ts';

/** Where records may lie; everything else under the root is the store's own, or foreign and left alone. */
export const recordFolders = ['subnets', 'weft/nodes', 'weft/released', 'weft/claims'] as const;
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

  path(name: string): string {
    return join(this.root, name);
  }

  /** Makes what is missing of the layout. Throws `StoreError` `refused`. */
  ensure(): void {
    try {
      for (const folder of ownFolders) mkdirSync(this.path(folder), { recursive: true, mode: 0o755 });
    } catch (error) {
      throw failure('refused', `cannot make the store's folder ${this.root}`, error);
    }
  }

  /** Runs the block as the only one in the folder, after completing what a killed process left. */
  async locked<T>(signal: AbortSignal, block: () => T | Promise<T>): Promise<T> {
    this.ensure();
    const fd = openSync(this.path('weft/lock'), 'a', 0o600);
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
  names(folder: string): string[] {
    try {
      return readdirSync(this.path(folder)).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** All or none of the changes: name → content, undefined to delete. */
  change(files: ReadonlyMap<string, string | undefined>): void {
    const entries = [...files].map(([name, content]) => [name, content ?? null]);
    this.#write('weft/journal', JSON.stringify(Object.fromEntries(entries)), { sync: true });
    this.#completeJournal();
  }

  /** Replaces one file at once; the content is not worth a disk flush. */
  replace(name: string, content: string): void {
    this.#write(name, content, { sync: false });
  }

  #completeJournal(): void {
    const journal = this.read('weft/journal');
    if (!journal) return;
    // A journal that is no JSON was never whole (power loss): nothing of it has been applied.
    const files = parseJsonObject(journal.value);
    if (isObject(files)) {
      for (const [name, content] of Object.entries(files)) {
        if (typeof content === 'string') this.#write(name, content, { sync: true });
        else rmSync(this.path(name), { force: true });
      }
    }
    rmSync(this.path('weft/journal'), { force: true });
  }

  #write(name: string, content: string, { sync }: { sync: boolean }): void {
    // Only the lock's holder writes, so one temporary name is enough and nothing piles up.
    const temporary = this.path('weft/tmp/next');
    const fd = openSync(temporary, 'w', 0o644);
    try {
      writeSync(fd, content);
      if (sync) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    mkdirSync(dirname(this.path(name)), { recursive: true });
    renameSync(temporary, this.path(name));
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

const failure = (kind: 'away' | 'refused', what: string, cause: unknown): StoreError =>
  new StoreError(kind, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
