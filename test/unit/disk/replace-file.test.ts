import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFile, DiskError, replaceFile } from '../../../disk/replace-file.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-disk-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

for (const durable of [true, false]) {
  test(`file replaced, durable ${durable}: has the content and the mode, and nothing is left beside it`, (t) => {
    const path = join(folderOf(t), 'made', 'file');
    replaceFile({ path, content: 'one', durable });
    replaceFile({ path, content: 'two', mode: 0o600, durable });
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, '..')), ['file']);
  });
}

test('file created where there is one: stays as it is', (t) => {
  const path = join(folderOf(t), 'file');
  assert.equal(createFile({ path, content: 'one' }), true);
  assert.equal(createFile({ path, content: 'two' }), false);
  assert.equal(readFileSync(path, 'utf8'), 'one');
});

test('directory is a file: the error names the path and the reason', (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'in-the-way'), '');
  const path = join(folder, 'in-the-way', 'file');
  assert.throws(
    () => replaceFile({ path, content: 'one' }),
    (error) =>
      error instanceof DiskError &&
      /^(EEXIST|ENOTDIR)$/.test(error.code ?? '') &&
      error.message.startsWith(`failed to write ${path}: `),
  );
});

test('write that fails: the old content stays and nothing is left beside it', (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'file');
  replaceFile({ path, content: 'old' });
  assert.throws(() => replaceFile({ path, content: 'new', mode: Number.NaN }), DiskError);
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder), ['file']);
});
