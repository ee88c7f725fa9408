/** The log as the rooms see it: an event of the table, and its fields; an error is in the field `err`. */
import type { LogEvent } from './events.ts';

type Write = (event: LogEvent, fields?: object) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  readonly fatal: Write;
}

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log whose level can be changed while it is in use. */
export interface LevelledLog extends Log {
  setLevel(level: LogLevel): void;
}

const nothing: Write = () => {};

export const silentLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};
