/** What is in the tree for people to run, and what the package is made of. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packaged, packageFolder } from './ground/package.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Every script with an interpreter line that is a shell's. */
function shellScripts(): string[] {
  return ['deploy', 'scripts', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => /^#!.*\b(ba)?sh\n/.test(readFileSync(path, 'utf8').slice(0, 40))),
  );
}

test('shellcheck has nothing to say about any script', () => {
  const scripts = shellScripts();
  assert.ok(scripts.some((path) => path.endsWith('deploy/install.sh')));
  const { stdout } = spawnSync('shellcheck', ['--external-sources', ...scripts], { encoding: 'utf8' });
  assert.equal(stdout, '');
});

test('Vagrant accepts the Vagrantfile, and the archive for the first machine is the tree, with line ends as they should be', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-vagrant-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const path of ['scripts/provision', 'node_modules/x', 'scripts/build']) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  for (const path of ['Vagrantfile', 'scripts/provision/source.rb', 'scripts/provision/node']) {
    // As Git on Windows checks it out.
    writeFileSync(join(folder, path), readFileSync(join(root, path), 'utf8').replaceAll('\n', '\r\n'));
  }
  writeFileSync(join(folder, 'scripts/build/binary'), Buffer.from([0, 13, 10, 1]));
  writeFileSync(join(folder, 'node_modules/x/index.js'), '');
  const output = execFileSync('vagrant', ['validate', '--ignore-provider'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, VAGRANT_HOME: join(folder, '.home') },
  });
  assert.match(output, /validated successfully/);
  const unpacked = join(folder, 'unpacked');
  mkdirSync(unpacked);
  execFileSync('tar', ['-xf', join(folder, '.vagrant/weft/source.tar'), '-C', unpacked]);
  const script = 'scripts/provision/node';
  assert.equal(readFileSync(join(unpacked, script), 'utf8'), readFileSync(join(root, script), 'utf8'));
  assert.ok(execFileSync('ls', ['-l', join(unpacked, script)], { encoding: 'utf8' }).startsWith('-rwx'));
  assert.deepEqual([...readFileSync(join(unpacked, 'scripts/build/binary'))], [0, 13, 10, 1]);
  assert.equal(readdirSync(unpacked).includes('node_modules'), false);
});

test('the same tree gives the same bytes', () => {
  const digests = (): string[] =>
    (['.tar.gz', '.deb'] as const).map((kind) =>
      createHash('sha256')
        .update(readFileSync(packaged(kind)))
        .digest('hex'),
    );
  const before = digests();
  execFileSync(process.execPath, [join(root, 'build/scripts/package.js')], {
    stdio: 'ignore',
    env: { ...process.env, TZ: 'Asia/Tokyo', LANG: 'C' },
  });
  assert.deepEqual(digests(), before, packageFolder);
});

test('the package for the other architecture is made here too, and its programs run on that processor', (t) => {
  const [arch, machine] = process.arch === 'x64' ? ['arm64', 'aarch64'] : ['x64', 'x86_64'];
  execFileSync(process.execPath, [join(root, 'build/scripts/package.js'), '--arch', arch], {
    stdio: 'ignore',
  });
  const folder = mkdtempSync(join(tmpdir(), 'weft-other-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync('tar', ['-xzf', packaged('.tar.gz', arch), '-C', folder, '--strip-components=1']);
  assert.equal(readFileSync(join(folder, 'MACHINE'), 'utf8').trim(), machine);
  const emulated = (words: string[], env = {}): string =>
    execFileSync(`qemu-${machine}`, ['-L', `/usr/${machine}-linux-gnu`, ...words], {
      cwd: folder,
      encoding: 'utf8',
      input: '{}',
      env: { ...process.env, ...env },
    });
  assert.match(emulated(['cni/weft'], { CNI_COMMAND: 'VERSION' }), /"supportedVersions"/);
  assert.match(emulated(['bin/node', 'bin/weftd', '--check-config']), /^network: 10\.244\.0\.0\/16$/m);
  const load = `const koffi = { exports: {} }; process.dlopen(koffi, './native/koffi.node'); console.log(process.arch, koffi.exports.sizeof('long'))`;
  assert.equal(emulated(['bin/node', '-e', load]).trim(), `${arch} 8`);
  const field = ['--field', packaged('.deb', arch), 'Architecture'];
  const architecture = execFileSync('dpkg-deb', field, { encoding: 'utf8' }).trim();
  assert.equal(architecture, arch === 'x64' ? 'amd64' : arch);
});
