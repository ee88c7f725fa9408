/**
 * A container's mounts. They are structures: in Docker's `source:target:mode` a colon of a path has another
 * meaning.
 */
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { MountSettings } from 'dockerode';
import type { Container, Mount, Pod, Volume } from '../manifest/pod.ts';
import type { Docker } from './daemon.ts';
import { volumeName } from './labels.ts';
import { mountSubpath } from './subpath.ts';

export interface MountScope {
  readonly pod: Pod;
  readonly uid: string;
  /** Where files of ConfigMaps and Secrets are written, for the pods that use them. */
  readonly volumesDir: string;
  /** Where parts of volumes are mounted that Docker cannot mount itself. */
  readonly subpathsDir: string;
}

/** Creates what is absent on the host, and returns the mounts. Throws what the file system reports. */
export async function mountsOf(
  docker: Docker,
  container: Container,
  scope: MountScope,
): Promise<MountSettings[]> {
  const mounts: MountSettings[] = [];
  for (const mount of container.mounts) {
    const volume = scope.pod.volumes.find(({ name }) => name === mount.volume);
    if (volume) mounts.push(await mountOf(docker, mount, { volume, scope }));
  }
  return mounts;
}

async function mountOf(
  docker: Docker,
  { path, readOnly, subPath }: Mount,
  { volume, scope }: { volume: Volume; scope: MountScope },
): Promise<MountSettings> {
  switch (volume.kind) {
    case 'emptyDir': {
      const { uid } = scope;
      if (subPath === undefined || (await canMountSubpaths(docker))) {
        return volumeMount({ uid, volume, target: path, readOnly, subPath });
      }
      const name = volumeName({ uid, name: volume.name });
      const { Mountpoint: root } = await docker.ask(`inspect the volume ${volume.name}`, (api) =>
        api.getVolume(name).inspect(),
      );
      const source = await mountSubpath({ ...scope, volume: volume.name, root, subPath });
      return { Type: 'bind', Source: source, Target: path, ReadOnly: readOnly };
    }
    case 'hostPath':
      ensureHostPath(volume);
      return { Type: 'bind', Source: volume.path, Target: path, ReadOnly: readOnly };
    case 'files': {
      const folder = ensureFiles(volume, scope);
      return { Type: 'bind', Source: join(folder, subPath ?? ''), Target: path, ReadOnly: true };
    }
  }
}

/** Docker 26 is the first that resolves a path within a volume safely. */
const SUBPATH_API = [1, 45] as const;

async function canMountSubpaths(docker: Docker): Promise<boolean> {
  const { ApiVersion } = await docker.ask('read the version', (api) => api.version());
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
  return major > SUBPATH_API[0] || (major === SUBPATH_API[0] && minor >= SUBPATH_API[1]);
}

type SubpathOptions = NonNullable<MountSettings['VolumeOptions']> & { Subpath?: string };

export function volumeMount(of: {
  uid: string;
  volume: Volume;
  target: string;
  readOnly: boolean;
  subPath?: string | undefined;
}): MountSettings {
  // NoCopy: an emptyDir is empty, also where the image has files. Docker resolves a subpath safely (API 1.45).
  const options: SubpathOptions = {
    NoCopy: true,
    Labels: {},
    DriverConfig: { Name: 'local', Options: {} },
    ...(of.subPath !== undefined && { Subpath: of.subPath }),
  };
  return {
    Type: 'volume',
    Source: volumeName({ uid: of.uid, name: of.volume.name }),
    Target: of.target,
    ReadOnly: of.readOnly,
    VolumeOptions: options,
  };
}

/** As the kubelet: other types were checked when the pod was applied, and Docker refuses what is absent. */
function ensureHostPath({ path, type }: Extract<Volume, { kind: 'hostPath' }>): void {
  if (type === 'FileOrCreate') closeSync(openSync(path, 'a', 0o644));
  else if ((type === '' || type === 'DirectoryOrCreate') && !existsSync(path)) {
    mkdirSync(path, { recursive: true, mode: 0o755 });
  }
}

/** Whole or not there; the folder around it is closed to users of the host. */
function ensureFiles(
  { name, files }: Extract<Volume, { kind: 'files' }>,
  { pod, uid, volumesDir }: MountScope,
): string {
  const folder = join(volumesDir, uid, name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(volumesDir, { recursive: true, mode: 0o700 });
  mkdirSync(unfinished, { recursive: true, mode: 0o755 });
  for (const { path, mode, content } of files) {
    const file = join(unfinished, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    // The group of the pod's volumes may read, as in Kubernetes.
    const groupMode = pod.fsGroup === undefined ? mode : mode | 0o440;
    writeFileSync(file, Buffer.from(content, 'base64'), { mode: groupMode });
    if (pod.fsGroup !== undefined) chownSync(file, 0, pod.fsGroup);
  }
  renameSync(unfinished, folder);
  return folder;
}

export const removeFiles = ({ uid, volumesDir }: { uid: string; volumesDir: string }): void =>
  rmSync(join(volumesDir, uid), { recursive: true, force: true });
