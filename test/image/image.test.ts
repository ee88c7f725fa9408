/** The image: what is in it, that it is made again with the same bytes, and that it starts on both architectures. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mustRun } from '../../lab/command.ts';
import { packageRoot } from '../../lab/product.ts';
import { findProgram } from '../../scripts/needs.ts';

const root = packageRoot();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const megabyte = 1_000_000;

const archive = (arch: string): string => join(root, `dist/image/weft-${version}-linux-${arch}.tar`);
const make = (arch: string): Promise<string> =>
  mustRun([process.execPath, join(root, 'build/scripts/image.js'), '--arch', arch]);
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

for (const [arch, machine] of [
  ['x64', 'x86_64'],
  ['arm64', 'aarch64'],
] as const) {
  describe(`image for ${arch}`, () => {
    let scratch = '';
    let tree = '';

    before(async () => {
      await make(arch);
      scratch = mkdtempSync(join(tmpdir(), 'weft-image-test-'));
      tree = join(scratch, 'root');
      mkdirSync(tree);
      await mustRun(['tar', '-xf', archive(arch), '-C', scratch]);
      const [{ Layers: [layer = ''] = [] }] = JSON.parse(
        readFileSync(join(scratch, 'manifest.json'), 'utf8'),
      ) as [{ Layers: string[] }];
      await mustRun(['tar', '-xf', join(scratch, layer), '-C', tree]);
    });
    after(() => rmSync(scratch, { recursive: true }));

    /** Runs a program of the image: in its root, or emulated with its libraries. */
    const inImage = (program: string, ...args: string[]): Promise<string> => {
      if (arch === process.arch) return mustRun(['chroot', tree, program, ...args]);
      const emulator = findProgram(`qemu-${machine}`) ?? findProgram(`qemu-${machine}-static`) ?? '';
      return mustRun([emulator, '-L', tree, join(tree, program), ...args]);
    };

    it('made again: has the same bytes', async () => {
      const first = digest(archive(arch));
      await make(arch);
      assert.equal(digest(archive(arch)), first);
    });

    it('unpacked: has less than 160 MB, no shell and no package manager', async () => {
      const [bytes] = (await mustRun(['du', '--summarize', '--bytes', tree])).split('\t');
      assert.ok(Number(bytes) < 160 * megabyte, `${bytes} bytes`);
      const programs = await mustRun(['find', tree, '-type', 'f', '-perm', '-100', '-printf', '%P\n']);
      assert.deepEqual(
        programs
          .trim()
          .split('\n')
          .filter((path) => !/^opt\/weft\//.test(path) && !/\/ld-linux/.test(path)),
        ['usr/sbin/nft'],
      );
    });

    it('started: weftd and nft say their versions', async () => {
      assert.equal(
        (await inImage('opt/weft/current/bin/node', weftdOf(arch, tree), '--version')).trim(),
        version,
      );
      // qemu-user has no netfilter netlink: there it counts that nft starts, with all of its libraries.
      const nft = await inImage('usr/sbin/nft', '--version').catch((error: Error) => error.message);
      assert.match(
        nft,
        arch === process.arch ? /nftables v/ : /nftables v|Netlink socket: Protocol not supported/,
      );
    });
  });
}

/** Where node finds the program: in its own root, or through the emulator, which has this machine's. */
const weftdOf = (arch: string, tree: string): string =>
  arch === process.arch ? '/opt/weft/current/bin/weftd' : join(tree, 'opt/weft/current/bin/weftd');
