/** `weftctl pod logs`. */
import { Readable, type Writable } from 'node:stream';
import type { Docker } from '../docker/daemon.ts';

export interface LogsOptions {
  readonly id: string;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Lines from the end; undefined: all. */
  readonly tail: number | undefined;
  /** Seconds ago; undefined: from the beginning. */
  readonly sinceSeconds: number | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** Resolves at the end of the log; where it is followed, when the container has ended. */
export async function showLogs(docker: Docker, options: LogsOptions): Promise<void> {
  const { id, follow, timestamps, tail, sinceSeconds, stdout, stderr } = options;
  const wish = {
    stdout: true,
    stderr: true,
    timestamps,
    ...(tail !== undefined && { tail }),
    ...(sinceSeconds !== undefined && { since: Math.floor(Date.now() / 1000 - sinceSeconds) }),
  };
  const stream = await docker.ask('read the log', async (api): Promise<NodeJS.ReadableStream> => {
    const container = api.getContainer(id);
    if (follow) return await container.logs({ ...wish, follow: true });
    return Readable.from([await container.logs({ ...wish, follow: false })]);
  });
  docker.api.modem.demuxStream(stream, stdout, stderr);
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve);
    stream.once('error', reject);
  });
}
