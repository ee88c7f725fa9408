/** Which tests there are: `*.test.ts` below `test/<kind>/`, from the sources, so that a stale build adds none. */

import { readdirSync } from 'node:fs';
import { sep } from 'node:path';

export interface TestFile {
  /** The folder under `test/`: the ground the test stands on. */
  readonly kind: string;
  /** Relative to `test/`. */
  readonly path: string;
}

/** Every test under the folder, by kind and path. */
export function listTests(folder: string): TestFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => ({ kind: path.split(sep)[0] ?? '', path }))
    .filter((test) => test.kind !== test.path)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The tests that were asked for, in words (a kind, or a file with or without `test/` in front); all but
 * `onlyOnRequest` where nothing was. `unknown` holds the words that name no test.
 */
export function selectTests(request: {
  all: readonly TestFile[];
  wanted: readonly string[];
  onlyOnRequest: ReadonlySet<string>;
}): { tests: TestFile[]; unknown: string[] } {
  const { all, wanted, onlyOnRequest } = request;
  if (wanted.length === 0) return { tests: all.filter((test) => !onlyOnRequest.has(test.kind)), unknown: [] };
  const names = (word: string) => (test: TestFile) =>
    test.kind === word || test.path === word.replace(/^test\//, '');
  return {
    tests: all.filter((test) => wanted.some((word) => names(word)(test))),
    unknown: wanted.filter((word) => !all.some(names(word))),
  };
}
