/** The same files as a Debian package: dpkg's to place, install.sh's to start. */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packedAt } from './archive.ts';
import { run } from './run.ts';

const links: Readonly<Record<string, string>> = {
  'opt/cni/bin/weft': '/opt/weft/current/cni/weft',
  // Where Debian's containerd looks.
  'usr/lib/cni/weft': '/opt/weft/current/cni/weft',
  'usr/bin/weftctl': '/opt/weft/current/bin/weftctl',
};

/** Where Debian's shells look. */
const completions: Readonly<Record<string, string>> = {
  'weftctl.bash': 'usr/share/bash-completion/completions/weftctl',
  'weftctl.zsh': 'usr/share/zsh/vendor-completions/_weftctl',
  'weftctl.fish': 'usr/share/fish/vendor_completions.d/weftctl.fish',
};

/** Makes `deb` of a tree that `writeTree` wrote; `scratch` is a folder to make it in. */
export function makeDebianPackage(request: {
  root: string;
  tree: string;
  scratch: string;
  deb: string;
  version: string;
  /** As dpkg names it. */
  architecture: string;
}): void {
  const { root, tree, scratch, deb, version, architecture } = request;
  rmSync(scratch, { recursive: true, force: true });
  const at = (path: string): string => {
    const target = join(scratch, path);
    mkdirSync(dirname(target), { recursive: true });
    return target;
  };
  cpSync(tree, at(`opt/weft/${version}`), { recursive: true });
  symlinkSync(version, at('opt/weft/current'));
  for (const [path, target] of Object.entries(links)) symlinkSync(target, at(path));
  for (const unit of readdirSync(join(tree, 'systemd'))) {
    cpSync(join(tree, 'systemd', unit), at(`usr/lib/systemd/system/${unit}`));
  }
  cpSync(join(tree, 'weft.yaml'), at('etc/weft/weft.yaml'));
  mkdirSync(at('etc/cni/net.d'), { recursive: true });
  const fields: Readonly<Record<string, string>> = { VERSION: version, ARCHITECTURE: architecture };
  const documents: Readonly<Record<string, string>> = {
    copyright: 'usr/share/doc/weft/copyright',
    overrides: 'usr/share/lintian/overrides/weft',
  };
  for (const page of readdirSync(join(tree, 'man'))) {
    const text = gzipSync(readFileSync(join(tree, 'man', page)), { level: 9 });
    writeFileSync(at(`usr/share/man/man${page.at(-1)}/${page}.gz`), text);
  }
  for (const [source, target] of Object.entries(completions)) {
    cpSync(join(tree, 'completion', source), at(target));
  }
  const changelog = gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 });
  writeFileSync(at('usr/share/doc/weft/changelog.gz'), changelog);
  for (const name of readdirSync(join(root, 'deploy/debian'))) {
    const document = documents[name];
    if (document !== undefined) {
      cpSync(join(root, 'deploy/debian', name), at(document));
      continue;
    }
    const text = readFileSync(join(root, 'deploy/debian', name), 'utf8');
    const control = at(`DEBIAN/${name}`);
    writeFileSync(
      control,
      text.replace(/@([A-Z]+)@/g, (whole, field: string) => fields[field] ?? whole),
    );
    chmodSync(control, /^(pre|post)/.test(name) ? 0o755 : 0o644);
  }
  run('chmod', ['-R', 'u+rwX,go+rX,go-w', scratch]);
  run('find', [scratch, '-exec', 'touch', '--no-dereference', `--date=${packedAt}`, '{}', '+']);
  const packedAtSeconds = Date.parse(packedAt) / 1000;
  run('env', [
    `SOURCE_DATE_EPOCH=${packedAtSeconds}`,
    ...['dpkg-deb', '--root-owner-group', '-Zgzip', '-z9', '--build', scratch, deb],
  ]);
}
