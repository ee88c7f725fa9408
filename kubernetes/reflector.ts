/**
 * Keeps a copy of a resource's objects, of any resource: one list in pages, then a watch from there on, resumed by
 * resource version where it breaks off, listed again and compared where the server no longer keeps that version.
 *
 * Of an object only what `digest` makes of it is kept, so a list of thousands never lies in memory, and the watch may
 * ask for metadata alone where the list asked for whole objects. Only a DELETED event, or absence from a whole list,
 * removes an object: no answer that is late, half, empty or something else does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../retry/backoff.ts';
import type { ApiClient } from './client.ts';
import { ApiError, type ApiErrorKind } from './errors.ts';
import { type JsonObject, objectIn, textIn } from './json.ts';
import { listAll } from './list.ts';
import { nameOf, type Place, type Query } from './resource.ts';
import { type WatchEvent, watch } from './watch.ts';

export interface Reflected<T> {
  /** `NAME`, or `NAMESPACE/NAME`. */
  readonly key: string;
  /** Differs for an object that was deleted and created under the same name. */
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: T;
}

/** `before` and `after` differ in `uid` where an object was deleted and created under the same name. */
export interface Change<T> {
  readonly key: string;
  readonly before: Reflected<T> | undefined;
  readonly after: Reflected<T> | undefined;
}

export interface ReflectorTiming {
  /** The server ends a watch after this time, and up to as much again. */
  readonly watchSeconds: number;
  /** Without an event or a bookmark (one a minute) for that long, the connection is given up. */
  readonly idleMs: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** A watch that ends before that time without an event is a fault. */
  readonly leastWatchMs: number;
}

const defaultTiming: ReflectorTiming = {
  watchSeconds: 300,
  idleMs: 150_000,
  firstPauseMs: 1000,
  longestPauseMs: 30_000,
  leastWatchMs: 1000,
};

export interface ReflectorOptions<T> {
  readonly client: ApiClient;
  readonly place: Place;
  /** Selectors, of list and watch alike. */
  readonly query?: Query;
  readonly pageSize?: number;
  /** What list and watch ask for; whole objects unless given. */
  readonly list?: 'object' | 'metadata';
  readonly watch?: 'object' | 'metadata';
  /** What is kept of an object; `known`: what was kept of the same one (same uid) before. */
  readonly digest: (object: JsonObject, known: T | undefined) => T;
  /** Values that mean the same make no change. */
  readonly same?: (one: T, other: T) => boolean;
  /** What has changed since the last call, in order; the first call says that `complete` is true. */
  readonly onChanges: (changes: readonly Change<T>[]) => void;
  /** Called with the error when the server cannot be followed, with undefined when it can be again. */
  readonly onTrouble: (error: ApiError | undefined) => void;
  readonly timing?: Partial<ReflectorTiming>;
  readonly random?: () => number;
  readonly signal: AbortSignal;
}

export class Reflector<T> {
  /** Resolves when the signal has fired; rejects with an error that is not an `ApiError`. */
  readonly done: Promise<void>;
  readonly #options: ReflectorOptions<T>;
  readonly #timing: ReflectorTiming;
  readonly #backoff: Backoff;
  readonly #random: () => number;
  readonly #objects = new Map<string, Reflected<T>>();
  /** Where a watch continues; undefined: list first. */
  #version: string | undefined;
  #complete = false;
  #trouble: ApiError | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#random = options.random ?? Math.random;
    const { firstPauseMs: firstMs, longestPauseMs: longestMs } = this.#timing;
    // A server that goes leaves a thousand agents without a watch at one moment: they must not come back in step.
    this.#backoff = new Backoff({ firstMs, longestMs, least: 0.1, random: this.#random });
    this.done = this.#run();
  }

  /** By key. */
  get objects(): ReadonlyMap<string, Reflected<T>> {
    return this.#objects;
  }

  /** A whole list has been seen: an object that is not in `objects` does not exist. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Why the server cannot be followed; undefined while it can. */
  get trouble(): ApiError | undefined {
    return this.#trouble;
  }

  /** Takes in what somebody learned of an object by a request of their own. Answers whether it is still that object. */
  learn(key: string, uid: string, change: (value: T) => T): boolean {
    const before = this.#objects.get(key);
    if (before?.uid !== uid) return false;
    const after = { ...before, value: change(before.value) };
    this.#objects.set(key, after);
    this.#options.onChanges([{ key, before, after }]);
    return true;
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    let goneInARow = 0;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
        goneInARow = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.kind === 'gone') {
          this.#version = undefined;
          if (goneInARow++ === 0) continue;
        }
        this.#heed(error);
        const pauseMs = Math.max(this.#backoff.next(), error.retryAfterMs ?? 0);
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #list(): Promise<void> {
    const { client, place, query, pageSize, list: as, signal } = this.#options;
    const { items, resourceVersion } = await listAll({
      client,
      place,
      ...(query ? { query } : {}),
      ...(pageSize ? { pageSize } : {}),
      ...(as ? { as } : {}),
      digest: (object) => this.#reflect(object),
      signal,
    });
    signal.throwIfAborted();
    this.#version = resourceVersion;
    const gone = new Set(this.#objects.keys());
    const changes: Change<T>[] = [];
    for (const item of items) {
      gone.delete(item.key);
      this.#put(item, changes);
    }
    for (const key of gone) this.#remove(key, changes);
    const first = !this.#complete;
    this.#complete = true;
    this.#heed(undefined);
    if (first || changes.length > 0) this.#options.onChanges(changes);
  }

  async #watch(): Promise<void> {
    const { client, place, query, watch: as, signal } = this.#options;
    const { watchSeconds, idleMs, leastWatchMs } = this.#timing;
    const startedMs = performance.now();
    let heard = false;
    let standing: NodeJS.Timeout | undefined;
    const stands = (): void => {
      clearTimeout(standing);
      this.#backoff.reset();
      this.#heed(undefined);
    };
    try {
      for await (const events of watch({
        client,
        place,
        ...(query ? { query } : {}),
        ...(as ? { as } : {}),
        resourceVersion: this.#version ?? '',
        serverTimeoutSeconds: watchSeconds * (1 + this.#random()),
        idleMs,
        signal,
      })) {
        signal.throwIfAborted();
        if (events.length > 0) {
          heard = true;
          stands();
          this.#take(events);
        } else standing = setTimeout(stands, leastWatchMs);
      }
    } finally {
      clearTimeout(standing);
    }
    signal.throwIfAborted();
    if (heard || performance.now() - startedMs >= leastWatchMs) return;
    throw new ApiError(
      'unreachable',
      `failed to watch ${nameOf(place)} at ${client.server}: the watch ended at once; retrying`,
    );
  }

  #take(events: readonly WatchEvent[]): void {
    const changes: Change<T>[] = [];
    for (const { type, object, resourceVersion } of events) {
      if (type === 'DELETED') {
        const { key, uid } = identify(object);
        if (this.#objects.get(key)?.uid === uid) this.#remove(key, changes);
      } else if (type !== 'BOOKMARK') this.#put(this.#reflect(object), changes);
      this.#version = resourceVersion;
    }
    if (changes.length > 0) this.#options.onChanges(changes);
  }

  #reflect(object: JsonObject): Reflected<T> {
    const identity = identify(object);
    const known = this.#objects.get(identity.key);
    const value = this.#options.digest(object, known?.uid === identity.uid ? known.value : undefined);
    return { ...identity, value };
  }

  #put(found: Reflected<T>, changes: Change<T>[]): void {
    const { key } = found;
    const before = this.#objects.get(key);
    const same = before?.uid === found.uid && (this.#options.same?.(before.value, found.value) ?? false);
    // A value that means the same stays the same object: it may be compared by identity.
    const after = same && before ? { ...found, value: before.value } : found;
    this.#objects.set(key, after);
    if (!same && before?.resourceVersion !== after.resourceVersion) changes.push({ key, before, after });
  }

  #remove(key: string, changes: Change<T>[]): void {
    const before = this.#objects.get(key);
    if (this.#objects.delete(key)) changes.push({ key, before, after: undefined });
  }

  #heed(error: ApiError | undefined): void {
    if (error?.message === this.#trouble?.message) return;
    this.#trouble = error;
    this.#options.onTrouble(error);
  }
}

function identify(object: JsonObject): Omit<Reflected<unknown>, 'value'> {
  const metadata = objectIn(object, 'metadata');
  const [name, uid, resourceVersion] = ['name', 'uid', 'resourceVersion'].map((part) =>
    textIn(metadata, part),
  );
  if (name === undefined || uid === undefined || resourceVersion === undefined) {
    throw new ApiError(
      'unreachable',
      'the API server sent an object without name, uid or resourceVersion; retrying',
    );
  }
  const namespace = textIn(metadata, 'namespace');
  return { key: namespace === undefined ? name : `${namespace}/${name}`, uid, resourceVersion };
}

/** Whether the trouble will not pass by itself: somebody has to correct credentials, authority or RBAC. */
export const needsCorrection = (error: ApiError | undefined): boolean =>
  error !== undefined && corrected.includes(error.kind);

const corrected: readonly ApiErrorKind[] = ['unauthorized', 'forbidden', 'untrusted', 'credentials'];
