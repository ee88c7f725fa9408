/** The images that Kubernetes' network tests run, made of this machine's programs under the names they use. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { writeImageArchive } from '../../lab/kubernetes/image-archive.ts';
import { packageRoot } from '../../lab/product.ts';
import { librariesOf } from '../../scripts/image/libraries.ts';
import { findProgram } from '../../scripts/needs.ts';

const programs = ['bash', 'curl', 'nc', 'dig', 'nslookup', 'getent'];
const applets = [
  'sleep',
  'seq',
  'cat',
  'echo',
  'ls',
  'test',
  'wget',
  'hostname',
  'date',
  'grep',
  'head',
  'ip',
  'ping',
];
const triplets: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
const registry = 'registry.k8s.io';

/**
 * Writes the archives into a folder; returns their paths. `tests`: the folder of `ensureConformanceTests`, with agnhost
 * as a static program.
 */
export async function writeTestImages(folder: string, tests: string): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), 'weft-e2e-image-'));
  try {
    for (const path of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'run', 'results'])
      mkdirSync(join(root, path));
    for (const name of ['agnhost', 'localhost.crt', 'localhost.key']) {
      copyFileSync(join(tests, name), join(root, name));
    }
    copyFileSync(join(packageRoot(), 'dist/lib/pause'), join(root, 'pause'));
    const paths = programs.map((name) => findProgram(name) ?? name);
    for (const path of paths) copyFileSync(path, join(root, 'bin', basename(path)));
    symlinkSync('bash', join(root, 'bin/sh'));
    copyFileSync(findProgram('busybox') ?? 'busybox', join(root, 'bin/busybox'));
    for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
    const triplet = triplets[process.arch] ?? '';
    for (const path of librariesOf({ programs: paths, folder: '/', triplet }).values()) {
      const target = join(root, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, readFileSync(realpathSync(join('/', path))), { mode: 0o755 });
    }
    // Where programs name their loader.
    if (process.arch === 'x64') {
      mkdirSync(join(root, 'lib64'), { recursive: true });
      const loader = '/lib64/ld-linux-x86-64.so.2';
      writeFileSync(join(root, loader), readFileSync(realpathSync(loader)), { mode: 0o755 });
    }
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
    writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
    const config = { Env: ['PATH=/bin'], WorkingDir: '/' };
    const agnhost = { ...config, Entrypoint: ['/agnhost'], Cmd: ['pause'] };
    const images = {
      'e2e-test-images/agnhost:2.56': agnhost,
      'e2e-test-images/jessie-dnsutils:1.7': agnhost,
      'pause:3.10.1': { ...config, Entrypoint: ['/pause'] },
    };
    return await Promise.all(
      Object.entries(images).map(async ([image, config]) => {
        const output = join(folder, `${image.replace(/[:/]/g, '-')}.tar`);
        await writeImageArchive({
          root,
          output,
          name: `${registry}/${image}`,
          arch: process.arch,
          config,
          made: 'agnhost of the Kubernetes release',
        });
        return output;
      }),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
}
