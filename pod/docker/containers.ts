/** Containers and volumes as Docker is asked for them. */
import type { ContainerCreateOptions, MountSettings } from 'dockerode';
import { PodError } from '../errors.ts';
import { expand } from '../manifest/expand.ts';
import { fieldOf, type PodFacts } from '../manifest/fields.ts';
import type { PodKey } from '../manifest/key.ts';
import { type Container, keyOf, type Pod, type Volume } from '../manifest/pod.ts';
import type { Observed } from '../plan/observed.ts';
import type { Docker } from './daemon.ts';
import { containerName, label, sandboxPrefix, stopLabel, volumeName } from './labels.ts';
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
    Cmd: shared.map((_, i) => `/volumes/${i}`),
    Labels: {
      [label.pod]: key,
      [label.uid]: uid,
      [label.role]: 'sandbox',
      [label.container]: 'POD',
      [label.stop]: stopLabel({ graceSeconds: 0, preStop: undefined }),
    },
    HostConfig: {
      NetworkMode: 'none',
      IpcMode: 'shareable',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      // While it has them, what is in memory stays there, whichever container ends.
      Mounts: shared.map((volume, i) =>
        volumeMount({ uid, volume, target: `/volumes/${i}`, readOnly: false }),
      ),
    },
  };
  const made = await docker.ask('make the pause container', (api) => api.createContainer(options));
  await docker.ask('start the pause container', () => made.start());
  return made.id;
}

/** Makes a container in the sandbox's network; it does not run yet. Returns its id. */
export async function createContainer(
  docker: Docker,
  of: {
    readonly facts: PodFacts;
    readonly container: Container;
    readonly role: 'init' | 'app';
    readonly sandbox: Observed;
    readonly attempt: number;
  },
): Promise<string> {
  const { facts, container, role, sandbox, attempt } = of;
  const { pod, uid } = facts;
  const key = keyOf(pod);
  const name = containerName({ key, name: container.name, attempt, uid });
  const variables = environmentOf(container, facts);
  const expanded = (texts: readonly string[]) => texts.map((text) => expand(text, variables));
  const join = `container:${sandbox.id}`;
  const options: ContainerCreateOptions = {
    name,
    Image: container.image,
    Env: [...variables].map(([variable, value]) => `${variable}=${value}`),
    ...(container.command && { Entrypoint: expanded(container.command) }),
    ...(container.args && { Cmd: expanded(container.args) }),
    ...(container.workingDir && { WorkingDir: container.workingDir }),
    Labels: {
      [label.pod]: key,
      [label.uid]: uid,
      [label.role]: role,
      [label.container]: container.name,
      [label.sandbox]: sandbox.id,
      [label.attempt]: String(attempt),
      [label.stop]: stopLabel({ graceSeconds: pod.graceSeconds, preStop: container.preStop }),
    },
    HostConfig: { NetworkMode: join, IpcMode: join, ...mountsOf(container, facts) },
  };
  await removeUnstarted(docker, { name, uid });
  const made = await docker.ask(`make the container ${container.name}`, (api) =>
    api.createContainer(options),
  );
  return made.id;
}

/** A container of that name was created, and never started, by a daemon that died in between. */
async function removeUnstarted(docker: Docker, { name, uid }: { name: string; uid: string }): Promise<void> {
  const found = await docker.askIfThere(`inspect ${name}`, (api) => api.getContainer(name).inspect());
  if (!found) return;
  if (found.Config.Labels[label.uid] !== uid) {
    throw new PodError('docker', `container name ${name} is in use; rename or remove that container`);
  }
  await docker.askIfThere(`remove ${name}`, (api) => api.getContainer(found.Id).remove({ force: true }));
}

function environmentOf(container: Container, facts: PodFacts): Map<string, string> {
  const variables = new Map<string, string>();
  for (const { name, value, field } of container.env) {
    variables.set(name, field === undefined ? expand(value, variables) : fieldOf(field, facts));
  }
  return variables;
}

function mountsOf(
  container: Container,
  { pod, uid }: PodFacts,
): { Mounts: MountSettings[]; Binds: string[] } {
  const mounts: MountSettings[] = [];
  const binds: string[] = [];
  for (const { volume: name, path: target, readOnly } of container.mounts) {
    const volume = pod.volumes.find((each) => each.name === name);
    if (volume?.kind === 'emptyDir') mounts.push(volumeMount({ uid, volume, target, readOnly }));
    // A bind makes a folder where nothing is; a mount refuses.
    else if (volume?.type === '' || volume?.type === 'DirectoryOrCreate') {
      binds.push(`${volume.path}:${target}${readOnly ? ':ro' : ''}`);
    } else if (volume) {
      mounts.push({ Type: 'bind', Source: volume.path, Target: target, ReadOnly: readOnly });
    }
  }
  return { Mounts: mounts, Binds: binds };
}

const volumeMount = (of: {
  uid: string;
  volume: Volume;
  target: string;
  readOnly: boolean;
}): MountSettings => ({
  Type: 'volume',
  Source: volumeName({ uid: of.uid, name: of.volume.name }),
  Target: of.target,
  ReadOnly: of.readOnly,
  // An empty folder is to be empty, whatever the image has there.
  VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: 'local', Options: {} } },
});

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
