/** weftd's command line. */
import { Argument, Command, CommanderError } from 'commander';
import { defaultConfigPath } from './config/load.ts';

export type Order =
  | { readonly kind: 'run'; readonly config: string | undefined }
  | { readonly kind: 'check'; readonly config: string | undefined }
  | { readonly kind: 'plan'; readonly config: string | undefined }
  /** Nothing to do but to say something: help, the version, or what is wrong with the command line. */
  | { readonly kind: 'say'; readonly text: string; readonly status: number };

/** Its options and its task: for parsing, and for the manual page. */
export function weftdCommand(version: string): Command {
  return new Command('weftd')
    .description(
      'Run the agent of weft: lease a subnet for this host and keep the routes to the other hosts.',
    )
    .version(version, '-V, --version', 'print the version and exit')
    .helpOption('-h, --help', 'print this help and exit')
    .option('-c, --config <file>', `configuration file (default: WEFT_CONFIG, then ${defaultConfigPath})`)
    .option('--check-config', 'print the configuration with all defaults, or its problems, and exit')
    .addArgument(
      new Argument('[task]', 'plan: print what a reconcile pass would change, and change nothing').choices([
        'plan',
      ]),
    )
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Exit status:
  0   ended by a signal, or what was asked for was printed
  1   the agent cannot do its work: stderr says why, and what to do
  78  the configuration is refused

Examples:
  weftd
  weftd --check-config --config ./weft.yaml
  weftd plan`,
    );
}

/** What the arguments (without program and script) ask for. Never throws, prints or exits. */
export function parseArguments(args: readonly string[], version: string): Order {
  let text = '';
  const write = (part: string): void => {
    text += part;
  };
  const command = weftdCommand(version).exitOverride().configureOutput({ writeOut: write, writeErr: write });
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return { kind: 'say', text, status: error.exitCode };
    throw error;
  }
  const { config, checkConfig } = command.opts<{ config?: string; checkConfig?: true }>();
  const kind = command.processedArgs[0] === 'plan' ? 'plan' : 'run';
  return { kind: checkConfig ? 'check' : kind, config };
}
