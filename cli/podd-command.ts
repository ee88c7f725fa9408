/** The options of `weft-podd`: for parsing, and for the manual page. */
import { Command } from 'commander';
import { defaultConfigPath } from '../agent/config/load.ts';
import { version } from '../agent/version.ts';

export const poddCommand = (): Command =>
  new Command('weft-podd')
    .description(
      'Runs the pods of weftctl pod on Docker. It is started by weftctl pod apply, and ends with the last pod.',
    )
    .version(version, '-V, --version', 'print the version and exit')
    .helpOption('-h, --help', 'print this help and exit')
    .option('-c, --config <file>', `read this configuration (default: WEFT_CONFIG, ${defaultConfigPath})`)
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Exit status:
  0   ended by a signal, or no pods are left
  1   the pods cannot be kept: stderr says why, and what to do
  78  the configuration is refused

Examples:
  weft-podd --config /etc/weft/weft.yaml`,
    );
