/** A folder of a test's own, gone when the test is over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function folderOf(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
