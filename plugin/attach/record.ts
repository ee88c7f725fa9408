/**
 * The files of attachment.ts, each under a lock that its holder's death releases (flock(2)): one call at a
 * time works on an attachment, whether it runs in the agent or in a standalone plugin.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../kernel/errno.ts';
import { CniError } from '../errors.ts';
import { lockFile } from '../lock.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import { type Attachment, decodeAttachment, encodeAttachment } from './attachment.ts';
import { namesOf } from './names.ts';

/** A record that is ours alone until `close`. */
export class LockedRecord {
  readonly #fd: number;
  readonly #path: string;
  #empty: boolean;
  /** What the record says; undefined where it says nothing that can be read. */
  attachment: Attachment | undefined;

  constructor(fd: number, path: string, text: string) {
    this.#fd = fd;
    this.#path = path;
    this.#empty = text === '';
    this.attachment = decodeAttachment(text);
  }

  /** Forgets what was there before, and starts anew with this. */
  start(attachment: Attachment): void {
    this.attachment = undefined;
    if (!this.#empty) explained(this.#path, () => ftruncateSync(this.#fd, 0));
    this.append(attachment);
  }

  /** @throws CniError input-output where it could not be written whole. */
  append(attachment: Attachment): void {
    const line = Buffer.from(encodeAttachment(attachment));
    this.#empty = false;
    const written = explained(this.#path, () => writeSync(this.#fd, line));
    if (written < line.length) throw unwritable(this.#path, `only ${written} of ${line.length} bytes fitted`);
    this.attachment = attachment;
  }

  remove(): void {
    explained(this.#path, () => unlinkSync(this.#path));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const attachmentsDirectory = (runDir: string): string => join(runDir, 'attachments');

/** True if there is a record of the attachment, whatever is in it. */
export const hasRecord = (runDir: string, key: AttachmentKey): boolean =>
  existsSync(join(attachmentsDirectory(runDir), namesOf(key).file));

/** `if-possible`: there is none where the disk takes no further file, so nobody else comes to have it either. */
type Creation = 'always' | 'if-possible' | 'never';

/**
 * The attachment's record, locked; made where there is none as `create` says, else undefined.
 *
 * @throws CniError try-again-later where another call holds it for too long, input-output.
 */
export async function lockRecord(options: {
  runDir: string;
  /** The file's name without its directory. */
  file: string;
  create: Creation;
  /** False: undefined where another call holds it. */
  wait?: boolean;
}): Promise<LockedRecord | undefined> {
  const { wait = true } = options;
  const directory = attachmentsDirectory(options.runDir);
  const path = join(directory, options.file);
  const waiting = wait ? {} : { waitMs: 0 };
  const fd = await lockFile(
    path,
    () => explained(path, () => open({ ...options, directory, path })),
    waiting,
  );
  if (fd === 'busy' && !wait) return undefined;
  if (fd === 'busy')
    throw new CniError('try-again-later', 'another call is still working on this attachment');
  if (fd === undefined) return undefined;
  let record: LockedRecord | undefined;
  try {
    record = explained(path, () => new LockedRecord(fd, path, readAll(fd)));
    return record;
  } finally {
    if (!record) closeSync(fd);
  }
}

function open(options: { directory: string; path: string; create: Creation }): number | undefined {
  const { path, create } = options;
  try {
    return create === 'never' ? openSync(path, 'r+') : openOrMake(options);
  } catch (error) {
    if (create === 'never' && isErrno(error, 'ENOENT')) return undefined;
    const full = isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS');
    if (create === 'if-possible' && full && !existsSync(path)) return undefined;
    throw error;
  }
}

function openOrMake({ directory, path }: { directory: string; path: string }): number {
  try {
    return openSync(path, 'a+', 0o600);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openSync(path, 'a+', 0o600);
  }
}

function readAll(fd: number): string {
  const { size } = fstatSync(fd);
  if (size === 0) return '';
  const bytes = Buffer.allocUnsafe(size);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, size, 0));
}

function explained<T>(path: string, block: () => T): T {
  try {
    return block();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw unwritable(path, error.message);
  }
}

const unwritable = (path: string, message: string): CniError =>
  new CniError(
    'input-output',
    `cannot keep the attachment's record: ${message}`,
    `${path} must be writable by root and have space left`,
  );

/** What is on record of one attachment, as it is at this moment and without its lock. */
export function readRecord(runDir: string, key: AttachmentKey): Attachment | undefined {
  try {
    return decodeAttachment(readFileSync(join(attachmentsDirectory(runDir), namesOf(key).file), 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** A record as it is at this moment, without its lock. */
export interface SeenRecord {
  /** The file's name without its directory. */
  readonly file: string;
  /** Undefined where it cannot be read. */
  readonly attachment: Attachment | undefined;
}

/** Every record, readable or not. */
export function listRecords(runDir: string): SeenRecord[] {
  const directory = attachmentsDirectory(runDir);
  return fileNames(directory).flatMap((file) => {
    try {
      return { file, attachment: decodeAttachment(readFileSync(join(directory, file), 'utf8')) };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  });
}

/** Every attachment that is on record: for status, and for whoever needs to know the bridges that are in use. */
export const readAttachments = (runDir: string): Attachment[] =>
  listRecords(runDir).flatMap(({ attachment }) => attachment ?? []);

function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.json'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
