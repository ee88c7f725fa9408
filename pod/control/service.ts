/**
 * Starts weft-podd where it does not run: through its systemd unit where there is one, else as a process of its own (a
 * lab, a host without systemd, a checkout).
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { lockAsync } from '../../kernel/ffi.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import type { PodFiles } from './files.ts';

export interface Service {
  readonly files: PodFiles;
  /** The configuration that was named; undefined: the default one. */
  readonly config: string | undefined;
}

/** Writes orders so that a daemon reads them: one that is about to end sees them first, or is seen to have ended. */
export async function submit(service: Service, write: () => void): Promise<void> {
  const { files } = service;
  files.makeFolders();
  const gate = openSync(files.gatePath, 'a', 0o600);
  let runs = false;
  try {
    await lockAsync(gate, `lock ${files.gatePath}`);
    write();
    runs = files.keeper() !== undefined;
  } finally {
    closeSync(gate);
  }
  if (!runs) await start(service);
}

const run = promisify(execFile);
const startedWithinMs = 20_000;
const pollMs = 20;

async function start(service: Service): Promise<void> {
  const unit = await unitOf(service.config);
  if (unit === undefined) return await startProcess(service);
  try {
    // The operator acts now, so the limit of starts, which is for unattended loops, is reset.
    await run('systemctl', ['reset-failed', unit]).catch(() => undefined);
    // By `enable` it is there again after a reboot.
    await run('systemctl', ['enable', '--quiet', '--now', unit]);
  } catch (error) {
    throw new PodError(
      'daemon',
      `failed to start ${unit}: ${reasonOf(error)}; the pods start with it, see journalctl -u ${unit}`,
      { cause: error },
    );
  }
}

/** The unit of that configuration; undefined where systemd has none. */
async function unitOf(config: string | undefined): Promise<string | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const template = 'weft-podd@.service';
  const unit =
    config === undefined
      ? 'weft-podd.service'
      : (
          await run('systemd-escape', [`--template=${template}`, '--path', realpathSync(config)])
        ).stdout.trim();
  const { stdout } = await run('systemctl', ['show', '--property=LoadState', '--value', unit]);
  return stdout.trim() === 'loaded' ? unit : undefined;
}

async function startProcess({ files, config }: Service): Promise<void> {
  const program = join(dirname(realpathSync(process.argv[1] ?? '.')), 'weft-podd');
  const log = openSync(files.logPath, 'a', 0o600);
  let ended: string | undefined;
  try {
    const child = spawn(process.execPath, [program, ...(config === undefined ? [] : ['--config', config])], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', log, log],
    });
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, signal) => {
      ended = `it ended with ${signal ?? `status ${code}`}`;
    });
    child.unref();
    for (const since = Date.now(); !files.keeper(); await delay(pollMs)) {
      if (ended === undefined && Date.now() - since < startedWithinMs) continue;
      const why = ended ?? `not ready after ${startedWithinMs / 1000} s`;
      throw new PodError(
        'daemon',
        `failed to start weft-podd: ${why}; the end of ${files.logPath}:\n${tail(files.logPath)}`,
      );
    }
    child.removeAllListeners();
  } finally {
    closeSync(log);
  }
}

const tail = (path: string): string => readFileSync(path, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
