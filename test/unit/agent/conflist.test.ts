import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  configurationsBefore,
  conflist,
  conflistName,
  ensureConflist,
  teardownConflist,
} from '../../../agent/conflist.ts';
import { ConflistRivals } from '../../../agent/rivals.ts';
import { folderOf } from './folder.ts';

function placeOf(t: TestContext) {
  const root = folderOf(t);
  const place = { directory: join(root, 'net.d'), stateDir: join(root, 'state') };
  return { place, path: join(place.directory, conflistName) };
}

test('conflist absent: written once, with the plugin', (t) => {
  const { place, path } = placeOf(t);
  assert.equal(ensureConflist(place), 'written');
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), conflist);
  assert.equal(ensureConflist(place), 'kept');
  assert.deepEqual(readdirSync(place.directory), [conflistName], 'nothing half made lies beside it');
});

test('conflist removed: written again', (t) => {
  const { place, path } = placeOf(t);
  ensureConflist(place);
  teardownConflist(place);
  assert.equal(existsSync(path), false);
  assert.equal(ensureConflist(place), 'written');
});

test('conflist of an earlier weft: replaced', (t) => {
  const { place, path } = placeOf(t);
  ensureConflist(place);
  for (const file of [path, join(place.stateDir, conflistName)]) writeFileSync(file, '{"name":"weft"}\n');
  assert.equal(ensureConflist(place), 'written');
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), conflist);
});

test('conflist edited, or of another program: not changed', (t) => {
  const { place, path } = placeOf(t);
  ensureConflist(place);
  writeFileSync(path, '{"mine":true}\n');
  assert.equal(ensureConflist(place), 'edited');
  assert.equal(teardownConflist(place), 'edited');
  assert.equal(readFileSync(path, 'utf8'), '{"mine":true}\n');
});

test('conflist with the content of weft, without the copy: kept, and removed at teardown', (t) => {
  const { place, path } = placeOf(t);
  ensureConflist(place);
  const text = readFileSync(path, 'utf8');
  const other = placeOf(t);
  ensureConflist(other.place);
  teardownConflist(other.place);
  writeFileSync(other.path, text);
  assert.equal(ensureConflist(other.place), 'kept');
  assert.equal(teardownConflist(other.place), 'removed');
});

test('teardown without a conflist: no error', (t) => {
  assert.equal(teardownConflist(placeOf(t).place), 'absent');
});

test('configuration of another CNI that sorts before ours: named with the remedy, logged and published once', (t) => {
  const { place } = placeOf(t);
  const { directory } = place;
  assert.deepEqual(configurationsBefore(directory), []);
  ensureConflist(place);
  for (const name of ['05-cilium.conflist', '10-calico.conf', '20-flannel.conflist', '00-note.txt']) {
    writeFileSync(join(directory, name), '{}');
  }
  const said: string[] = [];
  const rivals = new ConflistRivals({
    directory,
    holder: { publish: ({ message }) => said.push(message) },
    log: { warn: (event) => said.push(event) },
  });
  const problems = rivals.check();
  assert.deepEqual(
    problems.map(
      (text) => /net\.d\/(\S+) sorts before 10-weft.conflist.*; remove it, or rename it/.exec(text)?.[1],
    ),
    ['05-cilium.conflist', '10-calico.conf'],
  );
  assert.deepEqual(rivals.check(), problems);
  assert.equal(said.length, 4);
  assert.equal(said[1], problems[0]);
});

test('configuration of another CNI while ours is not there: no problem', (t) => {
  const { place } = placeOf(t);
  ensureConflist(place);
  teardownConflist(place);
  writeFileSync(join(place.directory, '05-cilium.conflist'), '{}');
  assert.deepEqual(configurationsBefore(place.directory), []);
});
