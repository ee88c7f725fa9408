/** A command in a running container, to its end. */

import type { Exec } from 'dockerode';
import { deadlineSignal } from '../../clock/after.ts';
import { PodError } from '../errors.ts';
import type { Docker } from './daemon.ts';
import { Beginning, copyFrames } from './frames.ts';

export interface ExecOutcome {
  readonly status: number;
  /** The beginning of what it wrote, of both kinds. */
  readonly output: string;
}

/** Enough for a message. */
const mostBytes = 4096;

/**
 * Runs it. A command that takes longer than `timeoutMs`, or until the signal, is killed.
 *
 * @throws PodError `hook` on timeout; DockerUnreachable; the signal's reason
 */
export async function execInContainer(
  docker: Docker,
  order: {
    readonly id: string;
    readonly command: readonly string[];
    readonly timeoutMs: number | undefined;
    readonly signal: AbortSignal;
  },
): Promise<ExecOutcome> {
  const { id, command, timeoutMs, signal } = order;
  const what = `execute ${command[0]}`;
  const exec = await docker.ask(what, (api) =>
    api.getContainer(id).exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true }),
  );
  const stream = await docker.ask(what, () => exec.start({}));
  const deadline = timeoutMs === undefined ? [] : [deadlineSignal(timeoutMs)];
  const over = AbortSignal.any([signal, ...deadline]);
  const output = new Beginning(mostBytes);
  const end = () => stream.destroy();
  over.addEventListener('abort', end, { once: true });
  try {
    await copyFrames(stream, { stdout: output, stderr: output });
    over.throwIfAborted();
  } catch (error) {
    await kill(docker, exec);
    stream.destroy();
    signal.throwIfAborted();
    if (!over.aborted) throw docker.refusal(what, error);
    throw new PodError(
      'hook',
      `${command.join(' ')}: not finished within ${(timeoutMs ?? 0) / 1000} s, killed`,
    );
  } finally {
    over.removeEventListener('abort', end);
  }
  const { ExitCode } = await docker.ask(what, () => exec.inspect());
  return { status: ExitCode ?? 255, output: output.text.trim() };
}

/** Docker cannot end a command that it executes, but names its process. */
async function kill(docker: Docker, exec: Exec): Promise<void> {
  const found = await docker.askIfThere('look at a command', () => exec.inspect()).catch(() => undefined);
  if (!found?.Running || !found.Pid) return;
  try {
    process.kill(found.Pid, 'SIGKILL');
  } catch (error) {
    // It has ended; or this process may not kill it, and it ends with its container.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
