/** `weftctl`. A command loads what it needs when it runs, so that `--help` and completion stay quick. */
import { Command } from 'commander';
import { describeLab } from './lab.ts';

const program = new Command('weftctl')
  .description('Looks after weft, the overlay network for pods.')
  .showHelpAfterError('(weftctl --help tells what there is)')
  .enablePositionalOptions();

describeLab(program.command('lab'));

try {
  await program.parseAsync();
} catch (error) {
  // A failure that says what to do needs no stack; anything else is a fault of ours and shows where.
  const expected = error instanceof Error && ['LabError', 'KernelError'].includes(error.name);
  process.stderr.write(
    `weftctl: ${expected ? error.message : error instanceof Error ? error.stack : error}\n`,
  );
  process.exitCode = 1;
}
