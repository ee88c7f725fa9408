/** The pause container, which holds the pod's network, and the pod's own volumes. */
import type { ContainerCreateOptions } from 'dockerode';
import type { PodKey } from '../manifest/key.ts';
import { keyOf, type Pod, type Volume } from '../manifest/pod.ts';
import type { Docker } from './daemon.ts';
import { label, sandboxPrefix, stopLabel, volumeName } from './labels.ts';
import { volumeMount } from './mounts.ts';
import { isOwnVolume } from './ownership.ts';

/** Makes and starts the container that holds the pod's network, which has none yet. Returns its id. */
export async function startSandbox(
  docker: Docker,
  of: { readonly pod: Pod; readonly uid: string; readonly image: string; readonly attempt: string },
): Promise<string> {
  const { pod, uid, image, attempt } = of;
  const key = keyOf(pod);
  const shared = pod.volumes.filter(({ kind }) => kind === 'emptyDir');
  for (const volume of shared) await ensureVolume(docker, { key, uid, volume });
  const options: ContainerCreateOptions = {
    name: `${sandboxPrefix(key)}${attempt}`,
    Image: image,
    Hostname: pod.hostname,
    Cmd: pauseArguments(pod, shared),
    Labels: {
      [label.pod]: key,
      [label.uid]: uid,
      [label.role]: 'sandbox',
      [label.container]: 'POD',
      [label.stop]: stopLabel({ graceSeconds: 0, preStop: undefined, stage: 0 }),
    },
    Healthcheck: noHealthcheck,
    HostConfig: {
      NetworkMode: 'none',
      IpcMode: 'shareable',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ...(pod.sysctls && { Sysctls: { ...pod.sysctls } }),
      // The owner of a folder may give it to a group that it is in, without a capability.
      ...(pod.fsGroup !== undefined && { GroupAdd: [String(pod.fsGroup)] }),
      // While it has them, what is in memory stays there, also when a container ends.
      Mounts: shared.map((volume, i) =>
        volumeMount({ uid, volume, target: `/volumes/${i}`, readOnly: false }),
      ),
    },
  };
  const made = await docker.ask('make the pause container', (api) => api.createContainer(options));
  await docker.ask('start the pause container', () => made.start());
  return made.id;
}

/** An image's own would be executed beside the probes. */
export const noHealthcheck = { Test: ['NONE'] };

/** The folders that the pause program makes and opens to every user, parents first. */
function pauseArguments(pod: Pod, shared: readonly Volume[]): string[] {
  const mounts = [...pod.initContainers, ...pod.containers].flatMap((container) => container.mounts);
  const folders = shared.flatMap(({ name }, i) => {
    const inner = mounts
      .filter(({ volume, subPath }) => volume === name && subPath !== undefined)
      .flatMap(({ subPath = '' }) => parentsOf(subPath));
    return ['', ...new Set(inner)].map((folder) => `/volumes/${i}${folder}`);
  });
  return [...(pod.fsGroup === undefined ? [] : [`group=${pod.fsGroup}`]), ...folders];
}

/** `a/b`: `/a`, `/a/b`. */
function parentsOf(path: string): string[] {
  const steps = path.split('/').filter((step) => step !== '' && step !== '.');
  return steps.map((_, i) => `/${steps.slice(0, i + 1).join('/')}`);
}

async function ensureVolume(
  docker: Docker,
  { key, uid, volume }: { key: PodKey; uid: string; volume: Volume },
): Promise<void> {
  const inMemory = volume.kind === 'emptyDir' && volume.memory;
  const size =
    volume.kind === 'emptyDir' && volume.sizeBytes !== undefined ? [`size=${volume.sizeBytes}`] : [];
  await docker.ask(`make the volume ${volume.name}`, (api) =>
    api.createVolume({
      Name: volumeName({ uid, name: volume.name }),
      Labels: { [label.pod]: key, [label.uid]: uid },
      ...(inMemory && {
        DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: ['mode=0777', ...size].join(',') },
      }),
    }),
  );
}

export async function removeVolumes(docker: Docker, uid: string): Promise<void> {
  const found = await docker.ask('list volumes', (api) =>
    api.listVolumes({ filters: { label: [`${label.uid}=${uid}`] } }),
  );
  for (const { Name } of found.Volumes ?? []) {
    if (!isOwnVolume(Name, uid)) continue;
    await docker.askIfThere(`remove the volume ${Name}`, (api) => api.getVolume(Name).remove());
  }
}
