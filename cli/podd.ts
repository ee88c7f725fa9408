/** `weft-podd`: wiring only. It reads the configuration of weftd, for its folders and its log. */
import { ConfigError, INVALID_CONFIG_STATUS } from '../agent/config/error.ts';
import { configSource, loadConfig } from '../agent/config/load.ts';
import { takeNotifier } from '../agent/notify/notifier.ts';
import { version } from '../agent/version.ts';
import { createLog } from '../log/create-log.ts';
import { runPodDaemon } from '../pod/keep/daemon.ts';
import { reasonOf } from '../problem/reason.ts';
import { poddCommand } from './podd-command.ts';

async function main(): Promise<void> {
  const program = poddCommand().action(({ config }: { config?: string }) => run(config));
  await program.parseAsync();
}

async function run(flag: string | undefined): Promise<void> {
  if (process.geteuid?.() !== 0) throw new Error('must run as root');
  const { config } = loadConfig(configSource({ flag, env: process.env }));
  const log = createLog(config.log);
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  const notifier = takeNotifier({
    env: process.env,
    onFailure: (error) => log.warn('notify.failed', { err: error }),
  });
  stop.signal.addEventListener('abort', () => notifier.stopping(), { once: true });
  await runPodDaemon({
    ...config,
    log,
    env: process.env,
    onReady: () => {
      log.info('pods.started', { version, stateDir: config.stateDir });
      notifier.ready('keeps pods');
    },
    signal: stop.signal,
  });
  log.info('pods.stopped', { reason: stop.signal.aborted ? 'signal' : 'no pods' });
  // A connection to Docker that is being made would keep the process.
  process.exit();
}

main().catch((error: unknown) => {
  process.stderr.write(`weft-podd: ${reasonOf(error)}\n`);
  process.exit(error instanceof ConfigError ? INVALID_CONFIG_STATUS : 1);
});
