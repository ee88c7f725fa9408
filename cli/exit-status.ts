/** The exit statuses of `weftctl`: one table for the code, the help, the manual page and docs/operate.md. */

/** Something was found to be wrong: `status`, `doctor`. */
export const UNHEALTHY = 2;
/** weftd does not run or does not answer. */
export const AGENT_UNREACHABLE = 3;
/** As a shell shows a process that SIGPIPE has ended. */
export const CLOSED_PIPE = 141;

export const exitStatuses: readonly (readonly [status: string, meaning: string])[] = [
  ['0', 'done; for status: healthy'],
  ['1', 'failed, or wrong usage: stderr says why, and what to do'],
  [String(UNHEALTHY), 'something is wrong with this node or a peer: the output says what'],
  [String(AGENT_UNREACHABLE), 'weftd does not run or does not answer'],
  [String(CLOSED_PIPE), 'the reader closed the pipe, as in "weftctl events | head -1"'],
  ['other', 'for exec and kubectl: the exit status of the command that was run'],
];

/** Lines for a help text. */
export const exitStatusText = (): string =>
  exitStatuses.map(([status, meaning]) => `  ${status.padEnd(5)}  ${meaning}`).join('\n');
