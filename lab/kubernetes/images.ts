/** Images of a lab's cluster that are made of programs of this machine: there is no registry to pull from. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabError } from '../errors.ts';
import { writeImageArchive } from './image-archive.ts';

/** The first container of every pod. A tag other than `latest` is never pulled. */
export const pauseImage = 'localhost/weft/pause:1';
/** A shell with ping, httpd, nc and nslookup. */
export const busyboxImage = 'localhost/weft/busybox:1';
export const corednsImage = 'localhost/weft/coredns:1';

const applets = [
  'sh',
  'ip',
  'ping',
  'ping6',
  'nc',
  'wget',
  'httpd',
  'nslookup',
  'cat',
  'sleep',
  'echo',
  'ls',
  'dd',
];
const moreApplets = [
  'mkdir',
  'head',
  'hostname',
  'seq',
  'date',
  'true',
  'grep',
  'sort',
  'wc',
  'env',
  'nproc',
];

/** Programs to put into images, by path. */
export interface ImagePrograms {
  readonly pause: string;
  readonly busybox: string;
  readonly coredns: string;
}

/** Writes each image's archive into the folder; returns their paths. */
export async function writeImages(folder: string, programs: ImagePrograms): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  return await Promise.all([
    image({ folder, name: pauseImage, program: programs.pause, config: { Entrypoint: ['/bin/pause'] } }),
    image({
      folder,
      name: corednsImage,
      program: programs.coredns,
      config: { Entrypoint: ['/bin/coredns'] },
    }),
    image({
      folder,
      name: busyboxImage,
      program: programs.busybox,
      links: [...applets, ...moreApplets],
      config: { Cmd: ['/bin/sh'] },
    }),
  ]);
}

async function image(request: {
  folder: string;
  name: string;
  program: string;
  links?: readonly string[];
  config: Readonly<Record<string, unknown>>;
}): Promise<string> {
  const { folder, name, program, links = [], config } = request;
  const word = /\/([a-z]+):/.exec(name)?.[1];
  if (!word) throw new LabError(`${name} does not name an image of a lab`);
  const output = join(folder, `${word}.tar`);
  const root = mkdtempSync(join(tmpdir(), 'weft-image-root-'));
  try {
    for (const path of ['bin', 'etc', 'tmp', 'www', 'proc', 'sys', 'dev', 'run']) mkdirSync(join(root, path));
    copyFileSync(program, join(root, 'bin', word));
    for (const link of links) symlinkSync(word, join(root, 'bin', link));
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
    const env = { Env: ['PATH=/bin'], WorkingDir: '/' };
    await writeImageArchive({
      root,
      output,
      name,
      arch: process.arch,
      config: { ...env, ...config },
      made: word,
    });
  } finally {
    rmSync(root, { recursive: true });
  }
  return output;
}
