/** weftd: wiring only. */
import { createLog } from '../log/create-log.ts';
import type { Log } from '../log/log.ts';
import { runAgent } from './agent.ts';
import { parseArguments } from './arguments.ts';
import { checkConfig } from './config/check.ts';
import { type ConfigSource, configSource, loadConfig } from './config/load.ts';
import { settleEngine } from './engine.ts';
import { takeNotifier } from './notify/notifier.ts';
import { planHost } from './plan.ts';
import { version } from './version.ts';

/** A start is over by then, and what it compiled not yet forgotten. */
const STARTED_MS = 5000;

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
    leave(1, `${text.replace(/^(?!weftd: )/gm, 'weftd: ')}\n`);
  }
}

async function obey(start: Start): Promise<void> {
  const order = parseArguments(process.argv.slice(2), version);
  if (order.kind === 'say') return leave(order.status, order.text);
  const source = configSource({ flag: order.config, env: process.env });
  if (order.kind === 'check') {
    const { status, stdout, stderr } = checkConfig(source);
    return leave(status, status === 0 ? stdout : stderr);
  }
  if (order.kind === 'plan') return plan(source);
  await run(source, start);
}

async function plan(source: ConfigSource): Promise<void> {
  const { config, path } = loadConfig(source);
  const { steps, problems } = await planHost({ config, file: path ?? source.path });
  const lines = steps.length ? steps : ['nothing to change'];
  leave(0, [...lines, ...problems.map((problem) => `cannot be had: ${problem}`), ''].join('\n'));
}

async function run(source: ConfigSource, { keepCompiled }: Start): Promise<void> {
  const { config, path } = loadConfig(source);
  const log = createLog(config.log);
  if (!path) log.info('config.defaults', { path: source.path });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  const notifier = takeNotifier({
    env: process.env,
    onFailure: (error) => log.warn('notify.failed', { err: error }),
  });
  stop.signal.addEventListener('abort', () => notifier.stopping(), { once: true });
  // Without a listener SIGHUP would end the process; whoever can reload adds another.
  process.on('SIGHUP', () => log.info('config.reloadRequested'));
  setTimeout(() => {
    if (keepCompiled) keep(keepCompiled, log);
    settleEngine();
  }, STARTED_MS).unref();
  await runAgent({
    config,
    file: path ?? source.path,
    log,
    notifier,
    load: () => loadConfig(source).config,
    onReload: (listener, signal) => {
      process.on('SIGHUP', listener);
      signal.addEventListener('abort', () => process.off('SIGHUP', listener), { once: true });
    },
    signal: stop.signal,
  });
  log.info('agent.stopped');
  // gRPC goes on with an attempt to connect when it is closed, and the kernel gives one up after two minutes.
  process.exit();
}

function keep(keepCompiled: () => void, log: Log): void {
  try {
    keepCompiled();
  } catch (error) {
    log.debug('bytecode.saveFailed', { err: error });
  }
}

function leave(status: number, text: string): void {
  (status === 0 ? process.stdout : process.stderr).write(text);
  process.exitCode = status;
}
