/**
 * `subPath` of an emptyDir with a Docker before 26, which cannot mount a part of a volume.
 *
 * A container of the pod may replace a folder of the path by a symbolic link to anywhere on the host, at any
 * moment (CVE-2017-1002101). So no path is resolved twice: each step is opened below the one before, without
 * following links, and what was opened is bind-mounted to a place that containers cannot reach. Docker mounts that
 * place.
 */
import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PodError } from '../errors.ts';

const run = promisify(execFile);

/** open(2): a handle on the file, of any type, without opening it. Node.js does not name it. */
const O_PATH = 0o10000000;

export interface SubpathPlace {
  readonly uid: string;
  /** Below which the pods' subpaths are mounted. */
  readonly subpathsDir: string;
}

/**
 * Returns the path that stands for `subPath` in the volume whose files are at `root`.
 *
 * @throws PodError `config` where a part of the path is absent or a symbolic link
 */
export async function mountSubpath(
  of: SubpathPlace & { readonly volume: string; readonly root: string; readonly subPath: string },
): Promise<string> {
  const { uid, subpathsDir, volume, root, subPath } = of;
  const folder = join(subpathsDir, uid);
  const target = join(folder, `${volume}_${Buffer.from(subPath).toString('hex')}`);
  const found = openBelow(root, subPath);
  try {
    const { dev, ino } = fstatSync(found);
    const there = statSync(target, { throwIfNoEntry: false });
    if (there?.dev === dev && there.ino === ino) return target;
    await unmount(target);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (fstatSync(found).isDirectory()) mkdirSync(target, { recursive: true });
    else writeFileSync(target, '', { flag: 'a' });
    await run('mount', ['--bind', `/proc/${process.pid}/fd/${found}`, target]);
    return target;
  } finally {
    closeSync(found);
  }
}

function openBelow(root: string, subPath: string): number {
  let fd = openSync(root, O_PATH | constants.O_DIRECTORY);
  for (const step of subPath.split('/')) {
    const above = fd;
    try {
      fd = openSync(`/proc/self/fd/${above}/${step}`, O_PATH | constants.O_NOFOLLOW);
    } catch (error) {
      throw new PodError('config', `subPath ${subPath}: ${step} not found in the volume`, { cause: error });
    } finally {
      closeSync(above);
    }
    if (!fstatSync(fd).isSymbolicLink()) continue;
    closeSync(fd);
    throw new PodError('config', `subPath ${subPath}: ${step} is a symbolic link; use a folder or a file`);
  }
  return fd;
}

/** Before the pod's volumes are removed: a mount of theirs would keep them, and a removal would go through it. */
export async function unmountSubpaths({ uid, subpathsDir }: SubpathPlace): Promise<void> {
  const folder = join(subpathsDir, uid);
  if (!existsSync(folder)) return;
  for (const target of mountsBelow(folder)) await unmount(target);
  rmSync(folder, { recursive: true, force: true });
}

async function unmount(target: string): Promise<void> {
  for (const each of mountsBelow(target)) await run('umount', ['--lazy', each]);
}

/** Mount points at the path and below it (proc_pid_mountinfo(5), field 5). */
function mountsBelow(path: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map((text) =>
      text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((point) => point === path || point.startsWith(`${path}/`))
    .toReversed();
}
