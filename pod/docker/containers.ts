/** A pod's containers as requests to Docker. */
import type { ContainerCreateOptions } from 'dockerode';
import { PodError } from '../errors.ts';
import { environmentOf } from '../manifest/environment.ts';
import { expand } from '../manifest/expand.ts';
import type { PodFacts } from '../manifest/fields.ts';
import { type Container, isSidecar, keyOf, type Pod } from '../manifest/pod.ts';
import type { Observed, StopOrder } from '../plan/observed.ts';
import type { StartRole } from '../plan/situation.ts';
import type { Docker } from './daemon.ts';
import { resourceConfigOf, securityConfigOf, userOf } from './host-config.ts';
import { containerName, label, stopLabel } from './labels.ts';
import { mountsOf } from './mounts.ts';
import { noHealthcheck } from './sandbox.ts';

/** Makes a container in the sandbox's network; it does not run yet. Returns its id. */
export async function createContainer(
  docker: Docker,
  of: {
    readonly facts: PodFacts;
    readonly container: Container;
    readonly role: StartRole;
    readonly sandbox: Observed;
    readonly attempt: number;
    readonly volumesDir: string;
    readonly subpathsDir: string;
  },
): Promise<string> {
  const { facts, container, role, sandbox, attempt, volumesDir, subpathsDir } = of;
  const { pod, uid } = facts;
  const key = keyOf(pod);
  const name = containerName({ key, name: container.name, attempt, uid });
  const variables = environmentOf(container, facts);
  const expanded = (texts: readonly string[]) => texts.map((text) => expand(text, variables));
  const join = `container:${sandbox.id}`;
  const imageUser = await imageUserOf(docker, container);
  const user = userOf(container.security, { container: container.name, imageUser });
  const options: ContainerCreateOptions = {
    name,
    Image: container.image,
    Env: [...variables].map(([variable, value]) => `${variable}=${value}`),
    ...(container.command && { Entrypoint: expanded(container.command) }),
    ...(container.args && { Cmd: expanded(container.args) }),
    ...(container.workingDir && { WorkingDir: container.workingDir }),
    ...(user !== undefined && { User: user }),
    Healthcheck: noHealthcheck,
    Labels: {
      [label.pod]: key,
      [label.uid]: uid,
      // A sidecar's role is in its manifest and its stage: earlier versions support init and app only.
      [label.role]: role === 'app' ? 'app' : 'init',
      [label.container]: container.name,
      [label.sandbox]: sandbox.id,
      [label.attempt]: String(attempt),
      [label.stop]: stopLabel(stopOrderOf(pod, container)),
    },
    HostConfig: {
      NetworkMode: join,
      IpcMode: join,
      Mounts: await mountsOf(docker, container, { pod, uid, volumesDir, subpathsDir }),
      ...securityConfigOf(container.security),
      ...resourceConfigOf(container.resources),
    },
  };
  await removeUnstarted(docker, { name, uid });
  const made = await docker.ask(`make the container ${container.name}`, (api) =>
    api.createContainer(options),
  );
  return made.id;
}

/** Empty for root, or where none is requested. */
async function imageUserOf(docker: Docker, { image, security }: Container): Promise<string> {
  if (!security?.nonRoot && security?.group === undefined) return '';
  const { Config } = await docker.ask(`inspect the image ${image}`, (api) => api.getImage(image).inspect());
  return Config?.User ?? '';
}

/** Sidecars end after the containers, in reverse order. */
function stopOrderOf(pod: Pod, container: Container): StopOrder {
  const sidecars = pod.initContainers.filter(isSidecar).toReversed();
  const stage = sidecars.findIndex(({ name }) => name === container.name) + 1;
  return { graceSeconds: pod.graceSeconds, preStop: container.preStop, stage };
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
