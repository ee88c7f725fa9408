/** Checks that run before anything is changed. */
import { statSync } from 'node:fs';
import type { Docker } from '../docker/daemon.ts';
import { ensureImage } from '../docker/image.ts';
import { PodError } from '../errors.ts';
import { type HostPathType, type Pod, titleOf } from '../manifest/pod.ts';
import { refuseTakenPorts } from '../network/host-ports.ts';

/** @throws PodError with the remedy */
export async function checkPod(of: {
  readonly pod: Pod;
  readonly pauseImage: string | undefined;
  readonly others: readonly Pod[];
  readonly docker: Docker;
  readonly progress: (text: string) => void;
}): Promise<void> {
  const { pod, pauseImage, others, docker, progress } = of;
  checkHostPaths(pod);
  await refuseTakenPorts(pod, others);
  if (pauseImage !== undefined) {
    await ensureImage(docker, { image: pauseImage, policy: 'IfNotPresent', progress });
  }
  for (const { image, pullPolicy: policy } of [...pod.initContainers, ...pod.containers]) {
    await ensureImage(docker, { image, policy, progress });
  }
}

type Kind = 'isDirectory' | 'isFile' | 'isSocket' | 'isCharacterDevice' | 'isBlockDevice';

const kinds: Readonly<Partial<Record<HostPathType, { kind: Kind; what: string }>>> = {
  Directory: { kind: 'isDirectory', what: 'folder' },
  File: { kind: 'isFile', what: 'file' },
  Socket: { kind: 'isSocket', what: 'socket' },
  CharDevice: { kind: 'isCharacterDevice', what: 'character device' },
  BlockDevice: { kind: 'isBlockDevice', what: 'block device' },
};

function checkHostPaths(pod: Pod): void {
  for (const volume of pod.volumes) {
    if (volume.kind !== 'hostPath') continue;
    const wanted = kinds[volume.type];
    if (!wanted || statSync(volume.path, { throwIfNoEntry: false })?.[wanted.kind]()) continue;
    throw new PodError(
      'host-path',
      `pod ${titleOf(pod)}: ${volume.path} is not a ${wanted.what} of this host; create it, or change ` +
        `hostPath.type of volume ${volume.name}`,
    );
  }
}
