/** A whole list, in pages: each page's objects are digested and let go before the next is asked for. */
import type { ApiClient } from './client.ts';
import { ApiError, isApiError } from './errors.ts';
import { type JsonObject, textIn } from './json.ts';
import { readPage } from './page.ts';
import { nameOf, type Place, type Query } from './resource.ts';

export interface ListOptions<T> {
  readonly client: ApiClient;
  readonly place: Place;
  /** Selectors. */
  readonly query?: Query;
  readonly as?: 'object' | 'metadata';
  readonly pageSize?: number;
  /** What is kept of an object; throws where it is not one. */
  readonly digest: (object: JsonObject) => T;
  readonly signal: AbortSignal;
}

export interface Listed<T> {
  readonly items: readonly T[];
  /** Where a watch continues. */
  readonly resourceVersion: string;
}

const defaultPageSize = 500;
/** A list that is so slow that its continuation expires is started again; more often than that, something is wrong. */
const attempts = 3;

/** Everything at one resource version, or nothing: throws `ApiError` where one page is missing. */
export async function listAll<T>(options: ListOptions<T>): Promise<Listed<T>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listOnce(options);
    } catch (error) {
      if (!isApiError(error, 'gone') || attempt === attempts) throw error;
    }
  }
}

async function listOnce<T>(options: ListOptions<T>): Promise<Listed<T>> {
  const { client, place, query, as = 'object', digest, signal } = options;
  const limit = options.pageSize ?? defaultPageSize;
  const items: T[] = [];
  let next: string | undefined;
  for (;;) {
    const bytes = await client.bytes({
      verb: 'list',
      place,
      query: { ...query, limit, continue: next },
      as,
      signal,
    });
    const page = readPage(bytes, digest);
    const resourceVersion = textIn(page?.metadata, 'resourceVersion');
    if (!page?.kind.endsWith('List') || resourceVersion === undefined) {
      throw new ApiError(
        'unreachable',
        `failed to list ${nameOf(place)} at ${client.server}: the answer is not a list; retrying`,
      );
    }
    items.push(...page.items);
    next = textIn(page.metadata, 'continue');
    if (next === undefined) return { items, resourceVersion };
  }
}
