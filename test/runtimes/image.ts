/**
 * An image that no registry is needed for: busybox, as the docker-archive that `ctr images import`,
 * `podman load` and `docker load` all take (image-spec of Docker v1.2: manifest.json, a configuration, a layer).
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../lab/command.ts';
import { processMark } from '../../lab/names.ts';
import { findProgram } from '../../scripts/needs.ts';

/** Fully qualified and with a tag other than `latest`, so that nobody thinks of pulling it. */
export const image = 'localhost/weft/busybox:1';

/** Ends at once on SIGTERM, which a first process does not by itself. */
export const idle = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait; done'];

const applets = [
  'sh',
  'ip',
  'ping',
  'ping6',
  'nc',
  'wget',
  'httpd',
  'cat',
  'sleep',
  'echo',
  'ls',
  'dd',
  'mkdir',
];

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' };

/** Writes the archive; every process of its containers carries the lab's mark, so that no crash leaves one. */
export async function writeImage(path: string, lab: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-image-'));
  try {
    await furnish(join(folder, 'root'));
    await tar({ output: join(folder, 'layer.tar'), from: join(folder, 'root'), names: ['.'] });
    const layer = sha256(readFileSync(join(folder, 'layer.tar')));
    const configuration = JSON.stringify({
      architecture: architectures[process.arch] ?? process.arch,
      os: 'linux',
      config: { Env: ['PATH=/bin', `${processMark}=${lab}`], Cmd: idle, WorkingDir: '/' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
      history: [{ created_by: 'busybox-static' }],
    });
    const name = `${sha256(configuration)}.json`;
    writeFileSync(join(folder, name), configuration);
    const manifest = [{ Config: name, RepoTags: [image], Layers: ['layer.tar'] }];
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await tar({ output: path, from: folder, names: ['manifest.json', name, 'layer.tar'] });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function furnish(root: string): Promise<void> {
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run', 'www']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync(findProgram('busybox') ?? 'busybox', join(root, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
}

const tar = async (request: { output: string; from: string; names: string[] }): Promise<string> =>
  await mustRun([
    ...['tar', '--create', '--owner=0', '--group=0', '--numeric-owner'],
    ...['--file', request.output, '--directory', request.from, ...request.names],
  ]);

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
