/** `weftctl completion`: scripts that shells read, made from the command tree. */
import { Argument, type Command } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;

export function describeCompletion(completion: Command, program: () => Command): void {
  completion
    .description('Print the completion script of a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      'after',
      `
The Debian package installs the scripts. From the archive or a clone:

Examples:
  weftctl completion bash >/etc/bash_completion.d/weftctl
  weftctl completion zsh >/usr/local/share/zsh/site-functions/_weftctl
  weftctl completion fish >~/.config/fish/completions/weftctl.fish
  source <(weftctl completion bash)         for this shell only`,
    )
    .action(async (shell: (typeof shells)[number]) => {
      process.stdout.write(await completionScript(shell, program()));
    });
}

export async function completionScript(shell: (typeof shells)[number], program: Command): Promise<string> {
  const { commandTree } = await import('./completion/tree.ts');
  const tree = commandTree(program);
  if (shell === 'bash') return (await import('./completion/bash.ts')).bashCompletion(tree);
  if (shell === 'zsh') return (await import('./completion/zsh.ts')).zshCompletion(tree);
  return (await import('./completion/fish.ts')).fishCompletion(tree);
}
