/** Images: there, pulled, or made here. */
import { Readable } from 'node:stream';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import type { PullPolicy } from '../manifest/pod.ts';
import { pauseImage } from '../pause/image.ts';
import type { Docker } from './daemon.ts';

export interface ImageWish {
  readonly image: string;
  readonly policy: PullPolicy;
  /** Told what the pull is at, now and then. */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** @throws DockerAway; PodError `image` where it is not there and cannot be had */
export async function ensureImage(docker: Docker, wish: ImageWish): Promise<void> {
  const { image, policy } = wish;
  const isThere = await hasImage(docker, image);
  if (isThere && policy !== 'Always') return;
  if (policy === 'Never') {
    throw new PodError(
      'image',
      `the image ${image} is not on this host, and imagePullPolicy is Never: docker load or docker build it`,
    );
  }
  try {
    await pull(docker, wish);
  } catch (error) {
    // What a pull makes of a connection is the registry's or Docker's; the second is found out by the next request.
    const remedy = isThere
      ? 'it is on this host all the same: imagePullPolicy: IfNotPresent takes it'
      : 'see that the name is right, docker pull it by hand if the registry wants a login, or docker load it';
    throw new PodError('image', `the image ${image} cannot be pulled: ${reasonOf(error)}; ${remedy}`, {
      cause: error,
    });
  }
}

const hasImage = async (docker: Docker, image: string): Promise<boolean> =>
  (await docker.askIfThere(`look at the image ${image}`, (api) => api.getImage(image).inspect())) !==
  undefined;

/** Without a tag Docker would pull every one. */
const withTag = (image: string): string => (/[@:][^/]*$/.test(image) ? image : `${image}:latest`);

async function pull(docker: Docker, { image, progress, signal }: ImageWish): Promise<void> {
  progress?.(`pulling ${image}`);
  const stream = await docker.ask(`pull ${image}`, (api) =>
    api.pull(withTag(image), signal ? { abortSignal: signal } : {}),
  );
  await finished(docker, stream);
}

/** The stream of a pull or an import ends with its error, if it has one. */
function finished(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.api.modem.followProgress(stream, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Makes the pause image where it is not there yet; its name. @throws PodError `pause` */
export async function ensurePauseImage(docker: Docker): Promise<string> {
  const { name, repository, tag, archive, changes } = pauseImage();
  if (await hasImage(docker, name)) return name;
  const stream = await docker.ask(`make the image ${name}`, (api) =>
    api.importImage(Readable.from([archive]), { repo: repository, tag, changes: [...changes] }),
  );
  await finished(docker, stream as NodeJS.ReadableStream);
  return name;
}
