/** The command tree of weftctl as the tests read it. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

export const weftctlPath = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');

/** Commands that do something themselves, by their whole names. */
export function leaves(command: Command, path = command.name()): Map<string, Command> {
  if (command.commands.length === 0) return new Map([[path, command]]);
  return new Map(command.commands.flatMap((child) => [...leaves(child, `${path} ${child.name()}`)]));
}

/** All that `--help` prints. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}
