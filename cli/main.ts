/** `weftctl`. A command loads what it needs when it runs, so that `--help` and completion stay quick. */
import { inspect } from 'node:util';
import { Command } from 'commander';
import { describeCluster } from './cluster.ts';
import { describeEvents } from './events.ts';
import { describeLab } from './lab.ts';
import { describeNode } from './node.ts';
import { describePlugins } from './plugins.ts';
import { describePod } from './pod.ts';
import { describeSandbox } from './sandbox.ts';
import { describeStatus } from './status.ts';

async function main(): Promise<void> {
  const program = new Command('weftctl')
    .description('Manage weft, the overlay network for pods.')
    .showHelpAfterError('(weftctl --help lists the commands)')
    .enablePositionalOptions();
  describeStatus(program.command('status'));
  describeEvents(program.command('events'));
  describeLab(program.command('lab'));
  describeCluster(program.command('cluster'));
  describeNode(program.command('node'));
  describePlugins(program.command('plugins'));
  describePod(program.command('pod'));
  describeSandbox(program.command('sandbox'));
  await program.parseAsync();
}

/** A failure that says what to do needs no stack; anything else is a fault of ours and shows where. */
const expected: ReadonlySet<string> = new Set([
  'LabError',
  'KernelError',
  'NetworkError',
  'PluginError',
  'LeaseError',
  'StoreError',
  'ConfigError',
  'AgentError',
  'DiskError',
  'PodError',
  'UsageError',
]);

main().catch((error: unknown) => {
  const shown = error instanceof Error && expected.has(error.name) ? error.message : inspect(error);
  process.stderr.write(`weftctl: ${shown}\n`);
  process.exitCode = 1;
});
