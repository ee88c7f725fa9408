/** `weftctl pod exec`: a command in a container, on our terminal. */
import { pipeline } from 'node:stream/promises';
import type { Docker } from '../docker/daemon.ts';
import { copyFrames } from '../docker/frames.ts';

export interface ExecOptions {
  readonly id: string;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** Runs it to its end; resolves to its exit status. */
export async function execHere(docker: Docker, options: ExecOptions): Promise<number> {
  const { id, command, stdin, tty } = options;
  const what = `execute ${command[0]}`;
  const exec = await docker.ask(what, (api) =>
    api.getContainer(id).exec({
      Cmd: [...command],
      AttachStdout: true,
      AttachStderr: true,
      AttachStdin: stdin,
      Tty: tty,
    }),
  );
  const stream = await docker.ask(what, () => exec.start({ hijack: true, stdin, Tty: tty }));
  const terminal = stdin && tty && process.stdin.isTTY ? process.stdin : undefined;
  const resize = (): void => {
    const { columns: w, rows: h } = process.stdout;
    // The command may have ended just now.
    if (w && h) exec.resize({ w, h }).catch(() => undefined);
  };
  if (tty) {
    resize();
    process.stdout.on('resize', resize);
  }
  terminal?.setRawMode(true);
  if (stdin) process.stdin.pipe(stream);
  try {
    if (tty) await pipeline(stream, process.stdout, { end: false });
    else await copyFrames(stream, process);
  } finally {
    terminal?.setRawMode(false);
    process.stdin.unpipe(stream);
    process.stdin.pause();
    process.stdout.off('resize', resize);
  }
  const { ExitCode } = await docker.ask(what, () => exec.inspect());
  return ExitCode ?? 255;
}
