/**
 * `npm run package [-- --arch x64|arm64]`: dist/ and a Node.js as `dist/package/weft-<version>-linux-<arch>.tar.gz` and
 * as a Debian package, for this machine's architecture or the one named. The same tree (and C compiler) gives the same
 * bytes.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findProgram } from './needs.ts';
import { makeArchive, writeTree } from './package/archive.ts';
import { makeDebianPackage } from './package/debian.ts';
import { documentFiles } from './package/documents.ts';
import { packageFiles } from './package/layout.ts';
import { foreignNatives, ownNatives } from './package/natives.ts';
import { ensureNodeBinary } from './package/node-binary.ts';
import { nodePin } from './package/pins.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const output = join(root, 'dist/package');

/** What others call the architectures of Node.js. */
const machines: Readonly<Record<string, { machine: string; debian: string }>> = {
  x64: { machine: 'x86_64', debian: 'amd64' },
  arm64: { machine: 'aarch64', debian: 'arm64' },
};

async function main(): Promise<void> {
  const { arch = process.arch } = parseArgs({ options: { arch: { type: 'string' } } }).values;
  const names = machines[arch];
  if (!names) throw new Error(`weft is packaged for x64 and arm64, not for ${arch}`);
  const scratch = join(output, 'scratch');
  const natives =
    arch === process.arch ? ownNatives(root) : foreignNatives({ root, arch, ...names, folder: scratch });
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const node = ensureNodeBinary(nodePin(root, arch));
  const name = `weft-${version}-linux-${arch}`;
  const tree = join(output, name);
  const programs = packageFiles({ root, version, machine: names.machine, node, natives });
  writeTree(tree, [...programs, ...(await documentFiles(version))]);
  const archive = `${tree}.tar.gz`;
  makeArchive({ folder: tree, archive });
  const made = [archive];
  if (findProgram('dpkg-deb')) {
    const deb = join(output, `weft_${version}_${names.debian}.deb`);
    const folder = join(output, 'debian');
    makeDebianPackage({ root, tree, scratch: folder, deb, version, architecture: names.debian });
    rmSync(folder, { recursive: true });
    made.push(deb);
  } else {
    process.stderr.write('package: no Debian package, for there is no dpkg-deb here\n');
  }
  rmSync(tree, { recursive: true });
  rmSync(scratch, { recursive: true, force: true });
  for (const path of made) process.stdout.write(`package: ${path}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`package: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
