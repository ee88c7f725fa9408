/** Images: present, pulled, or made here. */
import { Readable } from 'node:stream';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import type { PullPolicy } from '../manifest/pod.ts';
import { pauseImage } from '../pause/image.ts';
import type { Docker } from './daemon.ts';
import { linesOf } from './lines.ts';

export interface ImageWish {
  readonly image: string;
  readonly policy: PullPolicy;
  /** Called with the progress of the pull. */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** @throws DockerUnreachable; PodError `image` where it is absent and cannot be pulled */
export async function ensureImage(docker: Docker, wish: ImageWish): Promise<void> {
  const { image, policy } = wish;
  const isThere = await hasImage(docker, image);
  if (isThere && policy !== 'Always') return;
  if (policy === 'Never') {
    throw new PodError(
      'image',
      `image ${image} not found on this host and imagePullPolicy is Never; load it with docker load or docker build`,
    );
  }
  try {
    await pull(docker, wish);
  } catch (error) {
    // The failed connection may be the registry's or Docker's; the next request to Docker finds out.
    const remedy = isThere
      ? 'it is on this host: imagePullPolicy: IfNotPresent uses it'
      : 'check the name, docker pull it if the registry needs a login, or docker load it';
    throw new PodError('image', `failed to pull image ${image}: ${reasonOf(error)}; ${remedy}`, {
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
  await finished(docker, `pull ${image}`, stream);
}

/** A pull or an import reports its error as a line of its stream. */
async function finished(docker: Docker, what: string, stream: NodeJS.ReadableStream): Promise<void> {
  try {
    for await (const line of linesOf(stream as AsyncIterable<Buffer>)) {
      const { error } = line.trim() === '' ? {} : (JSON.parse(line) as { error?: unknown });
      if (error !== undefined) throw new PodError('image', String(error));
    }
  } catch (error) {
    throw docker.refusal(what, error);
  }
}

/** Makes the pause image where it is not there yet; its name. @throws PodError `pause` */
export async function ensurePauseImage(docker: Docker): Promise<string> {
  const { name, repository, tag, archive, changes } = pauseImage();
  if (await hasImage(docker, name)) return name;
  const stream = await docker.ask(`make the image ${name}`, (api) =>
    api.importImage(Readable.from([archive]), { repo: repository, tag, changes: [...changes] }),
  );
  await finished(docker, `make the image ${name}`, stream as NodeJS.ReadableStream);
  return name;
}
