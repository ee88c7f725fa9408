/** Patterns of `case` over `PATH|WORD`, as bash and zsh both read them. */
import { type CompletedCommand, type CompletedValue, quotedForShell as quoted } from './tree.ts';

/** Which words lead to which command, and which are followed by a value. */
export const walk = (tree: readonly CompletedCommand[]): string =>
  tree
    .flatMap(({ path, commands, options }) => [
      ...commands.map(
        ({ name }) => `      ${quoted(`${path}|${name}`)}) at=${quoted(`${path} ${name}`.trim())} ;;`,
      ),
      ...options.flatMap(({ flags, value }) =>
        value ? flags.map((flag) => `      ${quoted(`${path}|${flag}`)}) skip=yes ;;`) : [],
      ),
    ])
    .join('\n');

/** What completes the value of each option that takes one. `action`: as the shell says it. */
export const values = (
  tree: readonly CompletedCommand[],
  action: (value: CompletedValue) => string,
): string =>
  tree
    .flatMap(({ path, options }) =>
      options.flatMap(({ flags, value }) =>
        value ? flags.map((flag) => `    ${quoted(`${path}|${flag}`)}) ${action(value)}; return ;;`) : [],
      ),
    )
    .join('\n');
