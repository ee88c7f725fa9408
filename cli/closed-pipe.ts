/** A reader that has read enough: `weftctl events | head -1`. */
import { CLOSED_PIPE } from './exit-status.ts';

/** Ends this process without a word when its reader closes the pipe. */
export function endWithClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(CLOSED_PIPE);
      throw error;
    });
  }
}
