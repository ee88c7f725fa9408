/** The image's file system: weft's package, `nft`, the libraries of both, certificate authorities, and nothing else. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { installedAt, type PackagedFile } from '../package/layout.ts';
import { run } from '../package/run.ts';
import type { Base } from './base.ts';
import { librariesOf } from './libraries.ts';

/** What of the package a container has no use for. */
const left = [
  /^install/,
  /^systemd\//,
  /^doc\//,
  /^lib\/pause$/,
  /^weft\.yaml$/,
  /^bin\/weft-podd$/,
  /^lib\/weft-podd/,
];

const folders = [
  'etc/weft',
  'etc/cni/net.d',
  'run/weft',
  'run/netns',
  'var/lib/weft',
  'tmp',
  'proc',
  'sys',
  'dev',
];

export function writeRoot(request: {
  root: string;
  files: readonly PackagedFile[];
  base: Base;
  /** `x86_64-linux-gnu` */
  triplet: string;
  /** Program that strips executables of that machine. */
  strip: string;
}): void {
  const { root, files, base, triplet, strip } = request;
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  // What programs may be looked for as; everything is in usr.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  symlinkSync('../run', join(root, 'var/run'));
  for (const { path, mode, content } of files.filter(
    ({ path }) => !left.some((pattern) => pattern.test(path)),
  )) {
    put({ path: join(root, installedAt, path), mode, content });
  }
  const node = join(root, installedAt, 'bin/node');
  run(strip, [node]);
  const nft = join(root, 'usr/sbin/nft');
  copyFileSync(join(base.folder, 'usr/sbin/nft'), nft);
  chmodSync(nft, 0o755);
  const koffi = join(root, installedAt, 'native/koffi.node');
  for (const [soname, path] of librariesOf({ programs: [node, nft, koffi], folder: base.folder, triplet })) {
    const isLoader = soname.startsWith('ld-linux');
    const target = join(root, isLoader ? loaderFolder(triplet) : `usr/lib/${triplet}`, soname);
    // A library's own name is a link to the file of its version.
    put({
      path: target,
      mode: isLoader ? 0o755 : 0o644,
      content: readFileSync(realpathSync(join(base.folder, path))),
    });
  }
  put({
    path: join(root, 'etc/ssl/certs/ca-certificates.crt'),
    mode: 0o644,
    content: authorities(base.folder),
  });
  for (const name of base.packages) licence({ root, base: base.folder, name: name.split('_')[0] ?? name });
  const text = (path: string, content: string): void => put({ path: join(root, path), mode: 0o644, content });
  text('etc/passwd', 'root:x:0:0:root:/:/sbin/nologin\n');
  text('etc/group', 'root:x:0:\n');
  text('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
  text(`${installedAt}/DEBIAN-PACKAGES`, `${base.packages.join('\n')}\n`);
  for (const name of ['weftd', 'weftctl'])
    symlinkSync(`${installedAt}/bin/${name}`, join(root, 'usr/bin', name));
}

function put({ path, mode, content }: { path: string; mode: number; content: Uint8Array | string }): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

/** Where programs of that machine name their loader. */
const loaderFolder = (triplet: string): string => (triplet.startsWith('x86_64') ? 'usr/lib64' : 'usr/lib');

/** All of Mozilla's, in the order of their names, as update-ca-certificates(8) puts them together. */
function authorities(base: string): string {
  const folder = join(base, 'usr/share/ca-certificates/mozilla');
  return readdirSync(folder)
    .sort()
    .map((name) => `${readFileSync(join(folder, name), 'utf8').trimEnd()}\n`)
    .join('');
}

function licence({ root, base, name }: { root: string; base: string; name: string }): void {
  const path = `usr/share/doc/${name}/copyright`;
  const real = realpathSync(join(base, path));
  put({ path: join(root, path), mode: 0o644, content: readFileSync(real) });
}
