/** `weftctl`. A command loads what it needs when it runs, so that `--help` and completion stay quick. */
import { inspect } from 'node:util';
import { Command } from 'commander';
import { describeLab } from './lab.ts';

async function main(): Promise<void> {
  const program = new Command('weftctl')
    .description('Looks after weft, the overlay network for pods.')
    .showHelpAfterError('(weftctl --help tells what there is)')
    .enablePositionalOptions();
  describeLab(program.command('lab'));
  await program.parseAsync();
}

/** A failure that says what to do needs no stack; anything else is a fault of ours and shows where. */
const expected: ReadonlySet<string> = new Set(['LabError', 'KernelError', 'NetworkError', 'PluginError']);

main().catch((error: unknown) => {
  const shown = error instanceof Error && expected.has(error.name) ? error.message : inspect(error);
  process.stderr.write(`weftctl: ${shown}\n`);
  process.exitCode = 1;
});
