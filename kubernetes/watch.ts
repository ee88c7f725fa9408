/** A watch: what happened after a resource version, line by line, as it comes. */

import { errorOf, errorOfConnection } from './answer.ts';
import type { ApiClient } from './client.ts';
import { ApiError } from './errors.ts';
import { isObject, type JsonObject, objectIn, textIn } from './json.ts';
import { nameOf, type Place, type Query } from './resource.ts';

export interface WatchOptions {
  readonly client: ApiClient;
  readonly place: Place;
  readonly query?: Query;
  readonly as?: 'object' | 'metadata';
  readonly resourceVersion: string;
  /** After that time the server ends the watch. */
  readonly serverTimeoutSeconds: number;
  /** A connection on which nothing comes for that long, not even a bookmark, is given up. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: JsonObject;
  readonly resourceVersion: string;
}

/** No object of an API server is longer (etcd's limit on a request is 1.5 MiB). */
const mostLineBytes = 16 << 20;

/**
 * What came in one piece, together; nothing at all, first, says that the watch stands. Ends when the server ends it.
 * Throws `ApiError`, `gone` where the resource version is no longer kept.
 */
export async function* watch(options: WatchOptions): AsyncGenerator<readonly WatchEvent[]> {
  const { client, place, query, as = 'object', signal } = options;
  const attempt = { verb: 'watch', place, server: client.server, source: '' } as const;
  const response = await client.open({
    verb: 'watch',
    place,
    query: {
      ...query,
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: Math.round(options.serverTimeoutSeconds),
    },
    as,
    idleMs: options.idleMs,
    signal,
  });
  const failed = (why: string): ApiError =>
    new ApiError('unreachable', `failed to watch ${nameOf(place)} at ${client.server}: ${why}; retrying`);
  yield [];
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      client.received += chunk.length;
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const end = data.lastIndexOf(0x0a);
      rest = data.subarray(end + 1);
      if (rest.length > mostLineBytes) throw failed('an event is longer than any object can be');
      if (end < 0) continue;
      const lines = data.toString('utf8', 0, end).split('\n');
      yield lines.filter((line) => line !== '').map(parse);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof ApiError ? error : errorOfConnection(attempt, error);
  } finally {
    response.destroy();
  }
  if (rest.length > 0) throw failed('the connection ended in the middle of an event');

  function parse(line: string): WatchEvent {
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch {
      throw failed('an event is not JSON');
    }
    const object = isObject(event) ? objectIn(event, 'object') : undefined;
    if (!isObject(event) || !object) throw failed('an event has no object');
    if (event.type === 'ERROR') {
      throw errorOf(attempt, { code: Number(object.code) || 500, status: object });
    }
    const type = types.find((one) => one === event.type);
    const resourceVersion = textIn(objectIn(object, 'metadata'), 'resourceVersion');
    if (!type || resourceVersion === undefined) throw failed('an event is not of a known type');
    return { type, object, resourceVersion };
  }
}

const types = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'] as const;
