/** `weftctl pod logs`. */
import type { Writable } from 'node:stream';
import type { Docker } from '../docker/daemon.ts';
import { copyFrames } from '../docker/frames.ts';

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
  const query = {
    stdout: true,
    stderr: true,
    follow,
    timestamps,
    ...(tail !== undefined && { tail }),
    ...(sinceSeconds !== undefined && { since: Math.floor(Date.now() / 1000 - sinceSeconds) }),
  };
  const stream = await docker.stream('read the log', { path: `/containers/${id}/logs?`, query });
  await copyFrames(stream, { stdout, stderr });
}
