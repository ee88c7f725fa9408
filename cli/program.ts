/** The command tree of `weftctl`. A command loads what it needs when it runs, so that `--help` stays quick. */
import { Command } from 'commander';
import { version } from '../agent/version.ts';
import { describeBundle } from './bundle.ts';
import { describeCluster } from './cluster.ts';
import { describeCompletion } from './completion.ts';
import { describeConnectivity } from './connectivity.ts';
import { describeDoctor } from './doctor.ts';
import { describeEvents } from './events.ts';
import { exitStatusText } from './exit-status.ts';
import { describeLab } from './lab.ts';
import { describeNode } from './node.ts';
import { describePlugins } from './plugins.ts';
import { describePod } from './pod.ts';
import { describeSandbox } from './sandbox.ts';
import { describeStatus } from './status.ts';
import { describeTrace } from './trace.ts';

export function weftctl(): Command {
  const program = new Command('weftctl')
    .description('Manage weft, the overlay network for pods.')
    .version(version, '-V, --version', 'print the version and exit')
    .showHelpAfterError('(weftctl --help lists the commands)')
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Exit status:
${exitStatusText()}

Examples:
  weftctl status
  weftctl node list
  weftctl help node forget`,
    );
  describeStatus(program.command('status'));
  describeDoctor(program.command('doctor'));
  describeTrace(program.command('trace'));
  describeEvents(program.command('events'));
  describeConnectivity(program.command('connectivity'));
  describeBundle(program.command('bundle'));
  describeLab(program.command('lab'));
  describeCluster(program.command('cluster'));
  describeNode(program.command('node'));
  describePlugins(program.command('plugins'));
  describePod(program.command('pod'));
  describeSandbox(program.command('sandbox'));
  describeCompletion(program.command('completion'), () => program);
  return program;
}
