/** What is in a package, and where. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledLicenses } from './licenses.ts';
import type { Natives } from './natives.ts';
import type { NodeBinary } from './node-binary.ts';

export interface PackagedFile {
  /** Below the package's folder. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly content: Uint8Array;
}

/** Where the package is, by a path that stays the same over upgrades. */
export const installedAt = '/opt/weft/current';
const interpreter = `${installedAt}/bin/node`;

export function packageFiles(from: {
  root: string;
  version: string;
  /** As `uname -m` says it. */
  machine: string;
  node: NodeBinary;
  natives: Natives;
}): PackagedFile[] {
  const { root, version, machine, node, natives } = from;
  const at = (source: string): Buffer => readFileSync(join(root, source));
  const data = (path: string, content: Uint8Array): PackagedFile => ({ path, mode: 0o644, content });
  const text = (path: string, content: string): PackagedFile => data(path, Buffer.from(content));
  const program = (path: string, content: Uint8Array): PackagedFile => ({ path, mode: 0o755, content });
  const bundle = (path: string): PackagedFile => program(path, withInterpreter(at(`dist/${path}`), path));
  const folder = (path: string, source: string): PackagedFile[] =>
    readdirSync(join(root, source)).map((name) => data(`${path}/${name}`, at(`${source}/${name}`)));
  return [
    text('VERSION', `${version}\n`),
    text('MACHINE', `${machine}\n`),
    // Programs without a suffix are CommonJS by this.
    text('package.json', `${JSON.stringify({ name: 'weft', version, type: 'commonjs' })}\n`),
    data('LICENSE', at('LICENSE')),
    program('bin/node', readFileSync(node.program)),
    bundle('bin/weftd'),
    bundle('bin/weft-podd'),
    bundle('bin/weftctl'),
    program('cni/weft', readFileSync(natives.relay)),
    program('cni/loopback', readFileSync(natives.loopback)),
    bundle('cni/weft-standalone'),
    ...['lib/standalone.js', 'lib/weftd.js'].map((path) => data(path, at(`dist/${path}`))),
    program('lib/pause', readFileSync(natives.pause)),
    data('native/koffi.node', readFileSync(natives.koffi)),
    program('install.sh', at('deploy/install.sh')),
    ...folder('install', 'deploy/install'),
    ...folder('systemd', 'deploy/systemd'),
    data('weft.yaml', at('deploy/weft.yaml')),
    data('doc/install.md', at('docs/install.md')),
    data('doc/configuration.md', at('docs/configuration.md')),
    data('doc/pods.md', at('docs/pods.md')),
    data('licenses/node', readFileSync(node.license)),
    ...[...bundledLicenses(root)].map(([name, path]) =>
      data(`licenses/${name.replace('/', '-')}`, readFileSync(path)),
    ),
  ];
}

/** The bundle, run by the package's own Node.js. */
function withInterpreter(bundle: Buffer, name: string): Uint8Array {
  const end = bundle.indexOf('\n');
  if (!bundle.toString('latin1', 0, 2).startsWith('#!') || end < 0) {
    throw new Error(`dist/${name} names no interpreter; run npm run build`);
  }
  return Buffer.concat([Buffer.from(`#!${interpreter}`), bundle.subarray(end)]);
}
