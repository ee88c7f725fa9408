/**
 * A page of a list, digested one object at a time. The page, 5 MB where 500 Nodes have some images each, is never one
 * text nor one tree of objects: both would grow the heap of an agent that is small before and after.
 *
 * The API server writes the objects of a list last, side by side, each beginning with its metadata. The bytes between
 * two of them cannot be inside a text, where quotation marks are escaped. Where they are inside an object, or the page
 * is of another make, a piece is not JSON: then the page is read as a whole.
 */
import { isObject, type JsonObject, objectIn } from './json.ts';

export interface Page<T> {
  readonly kind: string;
  readonly metadata: JsonObject | undefined;
  readonly items: readonly T[];
}

const opening = Buffer.from('"items":[');
const between = Buffer.from('},{"metadata":{');

/** Undefined where it is not a list. Throws what `digest` throws. */
export function readPage<T>(bytes: Buffer, digest: (object: JsonObject) => T): Page<T> | undefined {
  return readPieces(bytes, digest) ?? readWhole(bytes, digest);
}

function readPieces<T>(bytes: Buffer, digest: (object: JsonObject) => T): Page<T> | undefined {
  const start = bytes.indexOf(opening) + opening.length;
  const end = bytes.lastIndexOf(']}');
  const head = end < start ? undefined : parse(`${bytes.toString('utf8', 0, start)}]}`);
  if (!head || bytes.toString('utf8', end).trim() !== ']}') return undefined;
  const items: T[] = [];
  for (let from = start; from < end; ) {
    const next = bytes.indexOf(between, from);
    const to = next < 0 ? end : next + 1;
    const object = parse(bytes.toString('utf8', from, to));
    if (!object) return undefined;
    items.push(digest(object));
    from = to + 1;
  }
  return { kind: String(head.kind), metadata: objectIn(head, 'metadata'), items };
}

function readWhole<T>(bytes: Buffer, digest: (object: JsonObject) => T): Page<T> | undefined {
  const page = parse(bytes.toString('utf8'));
  // An empty list of Go's is null. Anything else is not a list, and must not pass for an empty one.
  const items = page?.items === null ? [] : page?.items;
  if (!page || !Array.isArray(items)) return undefined;
  const objects = items.map((item) => digest(isObject(item) ? item : {}));
  return { kind: String(page.kind), metadata: objectIn(page, 'metadata'), items: objects };
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
