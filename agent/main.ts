/** weftd: wiring only. */
import { writeFileSync } from 'node:fs';
import { exitNow } from '../kernel/ffi.ts';
import { createLog } from '../log/create-log.ts';
import type { Log } from '../log/log.ts';
import { RecentLines } from '../log/recent-lines.ts';
import { runAgent } from './agent.ts';
import { parseArguments } from './arguments.ts';
import { checkConfig } from './config/check.ts';
import { ConfigError, INVALID_CONFIG_STATUS } from './config/error.ts';
import { type ConfigSource, configSource, loadConfig } from './config/load.ts';
import { followVolume } from './config/volume.ts';
import { settleEngine } from './engine.ts';
import { AgentError } from './errors.ts';
import { Counters } from './metrics/counters.ts';
import { takeNotifier } from './notify/notifier.ts';
import { planHost } from './plan.ts';
import { endOnUncaught } from './uncaught.ts';
import { version } from './version.ts';

/** A start is over by then, and what it compiled not yet forgotten. */
const STARTED_MS = 5000;
/** Calls that have begun get 10 s; the unit's TimeoutStopSec is 20 s. */
const STOP_MS = 15_000;

export interface Start {
  /** Keeps the code that was compiled for the next start; undefined where it was there. May throw. */
  readonly keepCompiled: (() => void) | undefined;
}

/** Runs what the command line asks for; says what went wrong, and sets the exit status. */
export async function main(given: Start): Promise<void> {
  try {
    await obey(given);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    end(
      error instanceof ConfigError ? INVALID_CONFIG_STATUS : 1,
      `${text.replace(/^(?!weftd: )/gm, 'weftd: ')}\n`,
    );
  }
}

async function obey(start: Start): Promise<void> {
  const order = parseArguments(process.argv.slice(2), version);
  if (order.kind === 'say') return end(order.status, order.text);
  const source = configSource({ flag: order.config, env: process.env });
  if (order.kind === 'check') {
    const { status, stdout, stderr } = checkConfig(source);
    return end(status, status === 0 ? stdout : stderr);
  }
  if (order.kind === 'plan') return plan(source);
  await run(source, start);
}

async function plan(source: ConfigSource): Promise<void> {
  const { config, path } = loadConfig(source);
  const { steps, problems } = await planHost({ config, file: path ?? source.path });
  const lines = steps.length ? steps : ['nothing to change'];
  end(0, [...lines, ...problems.map((problem) => `problem: ${problem}`), ''].join('\n'));
}

async function run(source: ConfigSource, { keepCompiled }: Start): Promise<void> {
  const { config, path } = loadConfig(source);
  const recent = new RecentLines();
  const counters = new Counters();
  const log = createLog({ ...config.log, recent, onEvent: (event) => counters.happened(event) });
  if (!path) log.info('config.defaults', { path: source.path });
  const fail = endOnUncaught(log);
  const stop = new AbortController();
  const late = () => fail(new AgentError('stop', `did not stop within ${STOP_MS / 1000} s of SIGTERM`));
  stop.signal.addEventListener('abort', () => setTimeout(late, STOP_MS).unref(), { once: true });
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  const notifier = takeNotifier({
    env: process.env,
    onFailure: (error) => log.warn('notify.failed', { err: error }),
  });
  stop.signal.addEventListener('abort', () => notifier.stopping(), { once: true });
  notifier.watch(stop.signal);
  // Without a listener SIGHUP would end the process; whoever can reload adds another.
  process.on('SIGHUP', () => log.info('config.reloadRequested'));
  setTimeout(() => {
    if (keepCompiled) keep(keepCompiled, log);
    settleEngine();
  }, STARTED_MS).unref();
  const life = runAgent({
    config,
    file: path ?? source.path,
    log,
    recent,
    counters,
    notifier,
    load: () => loadConfig(source).config,
    onReload: (listener, signal) => {
      process.on('SIGHUP', listener);
      signal.addEventListener('abort', () => process.off('SIGHUP', listener), { once: true });
      const onChange = (): void => {
        log.info('config.volumeChanged', { path });
        listener();
      };
      const onError = (error: Error): void => log.warn('config.volumeUnwatched', { err: error });
      if (path) followVolume(path, { onChange, onError, signal });
    },
    signal: stop.signal,
  });
  await life.catch(fail);
  log.info('agent.stopped');
  // gRPC continues an attempt to connect when it is closed, and the kernel gives up after two minutes.
  exitNow(0);
}

function keep(keepCompiled: () => void, log: Log): void {
  try {
    keepCompiled();
  } catch (error) {
    log.debug('bytecode.saveFailed', { err: error });
  }
}

function end(status: number, text: string): void {
  writeFileSync(status === 0 ? 1 : 2, text);
  exitNow(status);
}
