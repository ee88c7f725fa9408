/**
 * `npm run package`: dist/ and a Node.js as `dist/package/weft-<version>-linux-<arch>.tar.gz` and as a Debian
 * package, for the architecture of this machine. The same tree (and C compiler) gives the same bytes.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from './needs.ts';
import { makeArchive, writeTree } from './package/archive.ts';
import { makeDebianPackage } from './package/debian.ts';
import { packageFiles } from './package/layout.ts';
import { ensureNodeBinary } from './package/node-binary.ts';
import { nodePin } from './package/pins.ts';
import { isStaticElf } from './package/static-elf.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const output = join(root, 'dist/package');

/** What others call the architectures of Node.js. */
const machines: Readonly<Record<string, { machine: string; debian: string }>> = {
  x64: { machine: 'x86_64', debian: 'amd64' },
  arm64: { machine: 'aarch64', debian: 'arm64' },
};

function main(): void {
  const arch = process.arch;
  const names = machines[arch];
  if (!names) throw new Error(`weft is packaged on x64 and arm64, and this is ${arch}`);
  if (!isStaticElf(join(root, 'dist/cni/weft'))) {
    throw new Error(
      'dist/cni/weft is not a static program: install a C compiler with the static C library (apt-get install gcc libc6-dev) and build again',
    );
  }
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const node = ensureNodeBinary(nodePin(root, arch));
  const name = `weft-${version}-linux-${arch}`;
  const tree = join(output, name);
  writeTree(tree, packageFiles({ root, version, machine: names.machine, node }));
  const archive = `${tree}.tar.gz`;
  makeArchive({ folder: tree, archive });
  const made = [archive];
  if (findProgram('dpkg-deb')) {
    const deb = join(output, `weft_${version}_${names.debian}.deb`);
    const scratch = join(output, 'debian');
    makeDebianPackage({ root, tree, scratch, deb, version, architecture: names.debian });
    rmSync(scratch, { recursive: true });
    made.push(deb);
  } else {
    process.stderr.write('package: no Debian package, for there is no dpkg-deb here\n');
  }
  rmSync(tree, { recursive: true });
  for (const path of made) process.stdout.write(`package: ${path}\n`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`package: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
