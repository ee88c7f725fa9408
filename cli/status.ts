/** `weftctl status`: this node and its peers. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { LiveStatus } from '../agent/status/live.ts';
import { painterFor } from './colour.ts';
import { AGENT_UNREACHABLE, UNHEALTHY } from './exit-status.ts';
import { type OutputOptions, outputOption, print } from './output.ts';
import { withProgress } from './progress.ts';
import { terminalWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

interface StatusOptions extends OutputOptions {
  readonly config?: string;
  readonly all: boolean;
  readonly wait?: string | true;
}

const WAIT_SECONDS = 60;
const LONGEST_WAIT_SECONDS = 86_400;
const PERIOD_MS = 500;

export function describeStatus(status: Command): void {
  status
    .description('Show this node, its lease and its peers, and what is wrong.')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .addOption(outputOption())
    .option('--all', 'list all peers, also in a large cluster', false)
    .option('--wait [seconds]', `wait until all is healthy, at most this long (${WAIT_SECONDS})`)
    .addHelpText(
      'after',
      `
What the kernel has is read from the kernel, so the command also works while weftd does not run.

Exit status:
  0  the node is ready and every peer has its entries and answers
  1  the status cannot be read
  2  something is wrong: the output says what
  3  weftd does not run or does not answer

Examples:
  weftctl status
  weftctl status --wait 120 && kubectl uncordon "$(hostname)"
  weftctl status -o json | jq '.peers[] | select(.state != "ok")'`,
    )
    .action(show);
}

async function show(options: StatusOptions): Promise<void> {
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  const { askStatus } = await import('../agent/status/ask-agent.ts');
  const { isHealthy, nodeStatus } = await import('../agent/status/node-status.ts');
  const { NoLeaseError } = await import('../agent/saved-host.ts');
  const source = configSource({ flag: options.config, env: process.env });
  const { config, path } = loadConfig(source);
  const file = path ?? 'the defaults';
  const untilMs = performance.now() + waitSecondsOf(options.wait) * 1000;
  const read = async () => {
    const agent = await askStatus(config.listen);
    try {
      return await nodeStatus({ config, file, agent });
    } catch (error) {
      if (agent.kind !== 'running' || !(error instanceof NoLeaseError)) throw error;
      return withoutLease(agent.value);
    }
  };
  let latest = await read();
  await withProgress('waiting until this node is healthy', async () => {
    while (('waiting' in latest || !isHealthy(latest)) && performance.now() < untilMs) {
      await delay(PERIOD_MS);
      latest = await read();
    }
  });
  const status = latest;
  if ('waiting' in status) {
    const { agent, problems } = status;
    const lines = problems.map(({ text }) => `  ${text}\n`);
    await print(
      options.output,
      status,
      async () => `weftd ${agent.version} waits for its first subnet lease\n${lines.join('')}`,
    );
    process.exitCode = UNHEALTHY;
    return;
  }
  await print(options.output, status, async () => {
    const { statusText } = await import('./status-text.ts');
    return statusText(status, {
      all: options.all,
      width: terminalWidth(),
      paint: painterFor(process.stdout),
    });
  });
  if (!status.agent.running) process.exitCode = AGENT_UNREACHABLE;
  else if (!isHealthy(status)) process.exitCode = UNHEALTHY;
}

/** All that can be said of a node before it has had a lease. */
const withoutLease = ({ version, problems }: LiveStatus) => ({
  waiting: 'lease',
  agent: { running: true, version },
  ready: false,
  problems,
});

function waitSecondsOf(wait: string | true | undefined): number {
  if (wait === undefined) return 0;
  if (wait === true) return WAIT_SECONDS;
  const seconds = Number(wait);
  if (/^\d+$/.test(wait) && seconds <= LONGEST_WAIT_SECONDS) return seconds;
  throw new UsageError(`--wait ${JSON.stringify(wait)}: expected seconds, 0 to ${LONGEST_WAIT_SECONDS}`);
}
