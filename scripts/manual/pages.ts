/** The manual pages and completion scripts that a package has, made from the command trees. */
import { weftdCommand } from '../../agent/arguments.ts';
import { completionScript } from '../../cli/completion.ts';
import { poddCommand } from '../../cli/podd-command.ts';
import { weftctl } from '../../cli/program.ts';
import { commandPage } from './command.ts';
import { configurationPage } from './configuration.ts';
import { section } from './roff.ts';

/** By file name. */
export function manualPages(version: string): Readonly<Record<string, string>> {
  const files = section('files', '.I /etc/weft/weft.yaml\n.br\n.I /run/weft\n.br\n.I /var/lib/weft');
  const also = section(
    'see also',
    '.BR weftd (8),\n.BR weftctl (8),\n.BR weft\\-podd (8),\n.BR weft.yaml (5)',
  );
  const more = [files, also];
  return {
    'weftctl.8': commandPage(weftctl(), { version, more }),
    'weftd.8': commandPage(weftdCommand(version), { version, more }),
    'weft-podd.8': commandPage(poddCommand(), { version, more }),
    'weft.yaml.5': configurationPage(version),
  };
}

/** By shell. */
export async function completions(): Promise<Readonly<Record<'bash' | 'zsh' | 'fish', string>>> {
  const [bash, zsh, fish] = await Promise.all(
    (['bash', 'zsh', 'fish'] as const).map((shell) => completionScript(shell, weftctl())),
  );
  return { bash: bash ?? '', zsh: zsh ?? '', fish: fish ?? '' };
}
