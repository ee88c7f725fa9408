/**
 * An error that nothing handled ends the process: one line, status 1, within a second. Continuing would leave an
 * agent that holds the CNI socket and answers nothing. The service manager restarts it; the data path does not need it.
 */
import { writeSync } from 'node:fs';
import { DiskError } from '../disk/replace-file.ts';
import { KernelError } from '../kernel/errors.ts';
import { alarm, exitNow } from '../kernel/ffi.ts';
import type { Log } from '../log/log.ts';
import { reasonOf } from '../problem/reason.ts';
import { AgentError } from './errors.ts';
import { LeaseError, StoreError } from './lease/errors.ts';

/** For the line itself: standard output may be a pipe that nobody reads. */
const WITHIN_SECONDS = 1;

/** From here on, and for errors that the caller gives to what this returns. */
export function endOnUncaught(log: Pick<Log, 'fatal'>): (thrown: unknown) => void {
  const end = (thrown: unknown): void => {
    alarm(WITHIN_SECONDS);
    try {
      report(thrown, log);
    } finally {
      exitNow(1);
    }
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
  return end;
}

/** An error that says what to do is for people; of any other the log keeps the stack. */
function report(thrown: unknown, log: Pick<Log, 'fatal'>): void {
  if (expected.some((kind) => thrown instanceof kind)) writeSync(2, `weftd: ${reasonOf(thrown)}\n`);
  else log.fatal('agent.failed', { err: thrown instanceof Error ? thrown : new Error(reasonOf(thrown)) });
}

const expected = [AgentError, DiskError, KernelError, LeaseError, StoreError];
