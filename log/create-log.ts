/**
 * JSON lines on standard output, for journald: level, time, pid, event, msg and the event's fields.
 * The writes are synchronous: a line written just before the process ends is not lost, and no worker thread runs.
 */
import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';
import { events } from './events.ts';
import type { LevelledLog, Log, LogLevel } from './log.ts';

/** The values of fields of these names are replaced, also one level down. */
const secrets = ['password', 'token', 'authorization', 'secret', 'privateKey'];

/** `to` is standard output unless given. */
export function createLog(options: {
  readonly level: LogLevel;
  readonly to?: DestinationStream;
}): LevelledLog {
  const logger = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    options.to ?? destination({ fd: 1, sync: true }),
  );
  const at =
    (level: keyof Log): Log[keyof Log] =>
    (event, fields) =>
      logger[level]({ event, ...fields }, events[event]);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}
