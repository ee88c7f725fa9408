/**
 * The agent's log: one JSON object a line on standard output, for journald and its like to keep. An event and
 * its fields, not a sentence; an error under `err`, or its stack is lost.
 *
 * Written synchronously: a line from just before an exit is there, and there is no worker thread.
 */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../config/config.ts';

export type Log = Logger;

/** What never gets into a log, whoever passes it: the values of fields of these names, one level deep too. */
const secrets = ['password', 'token', 'authorization', 'secret', 'privateKey'];

/** `to` is standard output unless given. */
export function createLog(options: { readonly level: LogLevel; readonly to?: DestinationStream }): Log {
  return pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    options.to ?? destination({ fd: 1, sync: true }),
  );
}
