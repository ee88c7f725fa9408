/**
 * JSON lines on standard output, for journald: level, time, pid, event, msg and the event's fields.
 * The writes are synchronous: a line written just before the process ends is not lost, and no worker thread runs.
 */
import { type DestinationStream, destination, levels, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { events, type LogEvent } from './events.ts';
import type { LevelledLog, Log, LogLevel } from './log.ts';
import type { RecentLines } from './recent-lines.ts';

/** The values of fields of these names are replaced, also one level down. */
const secrets = ['password', 'token', 'authorization', 'secret', 'privateKey'];

/** A bug needs the place where it was thrown; for a problem of the host its message is enough. */
const withStack: ReadonlySet<keyof Log> = new Set(['error', 'fatal']);

const withoutStacks = (fields: object = {}): object =>
  'err' in fields && fields.err instanceof Error ? { ...fields, err: briefly(fields.err) } : fields;

const briefly = (error: Error): object => ({
  type: error.name,
  message: error.message,
  ...('code' in error ? { code: error.code } : {}),
});

/** `to` is standard output by default; `recent` gets every line of level `info` and above, at any `level`. */
export function createLog(options: {
  readonly level: LogLevel;
  readonly to?: DestinationStream;
  readonly recent?: RecentLines;
  /** Called for every event of any level. */
  readonly onEvent?: (event: LogEvent) => void;
}): LevelledLog {
  const { recent, to = destination({ fd: 1, sync: true }) } = options;
  const output = recent ? new RecordingStream(to, recent, options.level) : to;
  const logger = pino(
    {
      level: recent ? lowest(options.level, RECORDED) : options.level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: (err: unknown) => (err instanceof Error ? stdSerializers.err(err) : err) },
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    output,
  );
  const at =
    (level: keyof Log): Log[keyof Log] =>
    (event, fields) => {
      options.onEvent?.(event);
      logger[level]({ event, ...(withStack.has(level) ? fields : withoutStacks(fields)) }, events[event]);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    setLevel: (level) => {
      logger.level = recent ? lowest(level, RECORDED) : level;
      if (output instanceof RecordingStream) output.level = level;
    },
  };
}

/** The lowest level of which lines are made, for `recent`, even if `level` writes less. */
const RECORDED = 'info';

const rankOf = (level: LogLevel): number => levels.values[level] ?? 0;
const lowest = (one: LogLevel, other: LogLevel): LogLevel => (rankOf(one) < rankOf(other) ? one : other);

const METADATA = Symbol.for('pino.metadata');

/** Records lines on their way to the output. pino sets `lastLevel` before each write (pino, metadata symbol). */
class RecordingStream implements DestinationStream {
  readonly [METADATA] = true;
  lastLevel = 0;
  level: LogLevel;
  readonly #to: DestinationStream;
  readonly #recent: RecentLines;

  constructor(to: DestinationStream, recent: RecentLines, level: LogLevel) {
    this.#to = to;
    this.#recent = recent;
    this.level = level;
  }

  write(line: string): void {
    if (this.lastLevel >= rankOf(this.level)) this.#to.write(line);
    if (this.lastLevel >= rankOf(RECORDED)) this.#recent.add(line.trimEnd());
  }
}
