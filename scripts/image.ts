/**
 * `npm run image [-- --arch x64|arm64]`: weft as the image `dist/image/weft-<version>-linux-<arch>.tar`, for
 * `ctr images import` and `docker load`. The same tree and the same Debian packages give the same bytes.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeImageArchive } from '../lab/kubernetes/image-archive.ts';
import { ensureBase } from './image/base.ts';
import { writeRoot } from './image/root.ts';
import { missing } from './needs.ts';
import { packageFiles } from './package/layout.ts';
import { foreignNatives, ownNatives } from './package/natives.ts';
import { ensureNodeBinary } from './package/node-binary.ts';
import { nodePin } from './package/pins.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const output = join(root, 'dist/image');

const machines: Readonly<Record<string, { machine: string; debian: string }>> = {
  x64: { machine: 'x86_64', debian: 'amd64' },
  arm64: { machine: 'aarch64', debian: 'arm64' },
};

async function main(): Promise<void> {
  const { arch = process.arch } = parseArgs({ options: { arch: { type: 'string' } } }).values;
  const names = machines[arch];
  if (!names) throw new Error(`there are images for x64 and arm64, not for ${arch}`);
  const { machine, debian } = names;
  const triplet = `${machine}-linux-gnu`;
  const strip = arch === process.arch ? 'strip' : `${triplet}-strip`;
  const lacking = missing(['apt-get', 'dpkg-deb', 'readelf', strip]);
  if (lacking) throw new Error(`an image for ${arch} needs ${lacking}`);
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  mkdirSync(output, { recursive: true });
  const scratch = mkdtempSync(join(output, 'scratch-'));
  try {
    const natives =
      arch === process.arch
        ? ownNatives(root)
        : foreignNatives({ root, arch, ...names, folder: join(scratch, 'natives') });
    const node = ensureNodeBinary(nodePin(root, arch));
    const files = packageFiles({ root, version, machine, node, natives });
    const base = ensureBase(debian);
    const tree = join(scratch, 'root');
    mkdirSync(tree);
    writeRoot({ root: tree, files, base, triplet, strip });
    const path = join(output, `weft-${version}-linux-${arch}.tar`);
    await writeImageArchive({
      root: tree,
      output: join(scratch, 'image.tar'),
      name: `${imageName}:${version}`,
      arch,
      config: {
        Entrypoint: ['/usr/bin/weftd'],
        Env: ['PATH=/usr/sbin:/usr/bin', 'LANG=C.UTF-8', 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
        WorkingDir: '/',
        Labels: {
          'org.opencontainers.image.version': version,
          'org.opencontainers.image.licenses': 'Apache-2.0',
        },
      },
      made: 'npm run image',
    });
    renameSync(join(scratch, 'image.tar'), path);
    process.stdout.write(`image: ${path} is ${imageName}:${version}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Fully qualified, and of no registry: imported, or pushed to one of the user's by the name that it has there. */
const imageName = 'localhost/weft/weft';

try {
  await main();
} catch (error) {
  process.stderr.write(`image: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
