/** Programs: run one, have its output and its exit status. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { LabError } from './errors.ts';

export interface Outcome {
  /** Exit status; 128 + the signal's number if a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Ends the program with SIGKILL when aborted. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end. Throws `LabError` if it cannot be started; its failure is a status. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, spawnOptions(options));
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', (error) => reject(cannotStart(program, error)));
    child.on('close', (code, signal) => {
      const status = code ?? 128 + signalNumber(signal);
      resolve({ status, stdout: text(stdout), stderr: text(stderr) });
    });
    // A program that reads nothing may be gone before it was written to.
    child.stdin?.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') reject(error);
    });
    child.stdin?.end(options.input ?? '');
  });
}

/** The same, where failure is not expected: throws `LabError` with what the program wrote. Returns its output. */
export async function mustRun(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(argv, options);
  if (outcome.status !== 0) {
    const said = outcome.stderr.trim() || outcome.stdout.trim();
    throw new LabError(`${argv.join(' ')} failed with status ${outcome.status}${said ? `: ${said}` : ''}`);
  }
  return outcome.stdout;
}

/** Runs a program on our own terminal; resolves to its exit status. */
export function runAttached(argv: readonly string[], env?: NodeJS.ProcessEnv): Promise<number> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', ...(env ? { env } : {}) });
    child.on('error', (error) => reject(cannotStart(program, error)));
    child.on('close', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

/** Applies `work` to each item, at most `limit` at a time; results in the items' order. */
export async function eachInParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

const spawnOptions = (options: RunOptions): SpawnOptions => ({
  stdio: 'pipe',
  ...(options.env ? { env: options.env } : {}),
  ...(options.signal ? { signal: options.signal, killSignal: 'SIGKILL' } : {}),
});

const cannotStart = (program: string, error: NodeJS.ErrnoException): Error =>
  error.code === 'ENOENT' ? new LabError(`the program ${program} is not installed`) : error;

const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();

const signalNumber = (signal: NodeJS.Signals | null): number =>
  signal ? (constants.signals[signal] ?? 0) : 0;
