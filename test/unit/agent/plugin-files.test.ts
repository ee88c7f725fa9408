/** weft's executables in a runtime's plugin directory, as a container installs and removes them. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { installPlugins, removePlugins } from '../../../agent/plugin-files/plugin-files.ts';

describe('plugin files', () => {
  let scratch = '';
  let files = { from: '', directory: '', stateDir: '' };

  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'weft-plugin-files-'));
    files = {
      from: join(scratch, 'from'),
      directory: join(scratch, 'cni/bin'),
      stateDir: join(scratch, 'state'),
    };
    for (const folder of [files.from, files.stateDir]) mkdirSync(folder);
    release('1');
  });
  afterEach(() => rmSync(scratch, { recursive: true }));

  /** What the image of a release has. */
  function release(version: string): void {
    for (const name of ['weft', 'loopback']) {
      writeFileSync(join(files.from, name), `${name} ${version}`);
      chmodSync(join(files.from, name), 0o755);
    }
  }
  const content = (name: string): string => readFileSync(join(files.directory, name), 'utf8');

  it('empty node: both executables are installed', () => {
    assert.deepEqual(installPlugins(files), { weft: 'installed', loopback: 'installed' });
    assert.deepEqual(readdirSync(files.directory).sort(), ['loopback', 'weft']);
  });

  it('second run of one release: nothing is written', () => {
    installPlugins(files);
    assert.deepEqual(installPlugins(files), { weft: 'kept', loopback: 'kept' });
  });

  it('another release, newer or older: both executables are replaced', () => {
    installPlugins(files);
    release('2');
    assert.deepEqual(installPlugins(files), { weft: 'installed', loopback: 'installed' });
    assert.equal(content('loopback'), 'loopback 2');
  });

  it('loopback of another project: is left alone by install and by remove', () => {
    mkdirSync(files.directory, { recursive: true });
    writeFileSync(join(files.directory, 'loopback'), 'reference');
    assert.deepEqual(installPlugins(files), { weft: 'installed', loopback: 'foreign' });
    assert.deepEqual(removePlugins(files), ['weft']);
    assert.equal(content('loopback'), 'reference');
  });

  it('loopback replaced by another project after install: is left alone', () => {
    installPlugins(files);
    writeFileSync(join(files.directory, 'loopback'), 'reference');
    release('2');
    assert.deepEqual(installPlugins(files), { weft: 'installed', loopback: 'foreign' });
    assert.equal(content('loopback'), 'reference');
  });

  it('weft that is a link: the node has the package, and the error names the remedy', () => {
    mkdirSync(files.directory, { recursive: true });
    symlinkSync('/opt/weft/current/cni/weft', join(files.directory, 'weft'));
    assert.throws(
      () => installPlugins(files),
      /is a link, so weft is installed .* as a package: run "install\.sh --uninstall"/,
    );
  });

  it('remove, twice: the first takes both, the second finds nothing', () => {
    installPlugins(files);
    assert.deepEqual(removePlugins(files), ['weft', 'loopback']);
    assert.deepEqual(removePlugins(files), []);
    assert.deepEqual(readdirSync(files.directory), []);
  });

  it('torn record: loopback is left alone', () => {
    installPlugins(files);
    writeFileSync(join(files.stateDir, 'plugin-files.json'), '{"loopb');
    release('2');
    assert.deepEqual(installPlugins(files), { weft: 'installed', loopback: 'foreign' });
  });
});
