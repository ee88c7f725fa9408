/** A reader that has read enough: `weftctl pod logs web | head`. */

/** As a shell shows a process that SIGPIPE has ended. */
const CLOSED_PIPE = 141;

/** Ends this process without a word when its reader closes the pipe. */
export function endWithClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(CLOSED_PIPE);
      throw error;
    });
  }
}
