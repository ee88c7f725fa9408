/**
 * JSON lines on standard output, for journald: level, time, pid, event, msg and the event's fields.
 * The writes are synchronous: a line written just before the process ends is not lost, and no worker thread runs.
 */
import { type DestinationStream, destination, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { events } from './events.ts';
import type { LevelledLog, Log, LogLevel } from './log.ts';

/** The values of fields of these names are replaced, also one level down. */
const secrets = ['password', 'token', 'authorization', 'secret', 'privateKey'];

/** A fault of the program needs the place where it was thrown; a problem of the host is said by its message. */
const withStack: ReadonlySet<keyof Log> = new Set(['error', 'fatal']);

const withoutStacks = (fields: object = {}): object =>
  'err' in fields && fields.err instanceof Error ? { ...fields, err: briefly(fields.err) } : fields;

const briefly = (error: Error): object => ({
  type: error.name,
  message: error.message,
  ...('code' in error ? { code: error.code } : {}),
});

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
      serializers: { err: (err: unknown) => (err instanceof Error ? stdSerializers.err(err) : err) },
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    options.to ?? destination({ fd: 1, sync: true }),
  );
  const at =
    (level: keyof Log): Log[keyof Log] =>
    (event, fields) =>
      logger[level]({ event, ...(withStack.has(level) ? fields : withoutStacks(fields)) }, events[event]);
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
