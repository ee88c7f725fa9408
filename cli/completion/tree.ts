/** The command tree as values: what completion scripts are made from. */
import type { Command } from 'commander';

export interface CompletedValue {
  readonly choices: readonly string[];
  readonly isFile: boolean;
}

export interface CompletedOption {
  /** `-o` and `--output`, those that there are. */
  readonly flags: readonly string[];
  readonly description: string;
  /** undefined: a switch; else what its value is. */
  readonly value: CompletedValue | undefined;
}

export interface CompletedCommand {
  /** From the program on, without it: `lab up`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletedOption[];
  /** Values of its arguments. */
  readonly choices: readonly string[];
}

/** Every command, the program first. */
export function commandTree(command: Command, path = ''): CompletedCommand[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const own: CompletedCommand = {
    path,
    commands: children.map((child) => ({ name: child.name(), description: firstLine(child.description()) })),
    options: help.visibleOptions(command).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
      description: firstLine(option.description),
      value:
        option.required || option.optional
          ? { choices: option.argChoices ?? [], isFile: /file|dir/.test(option.flags) }
          : undefined,
    })),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  };
  return [own, ...children.flatMap((child) => commandTree(child, `${path} ${child.name()}`.trim()))];
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

/** The text in single quotation marks, as all three shells read it. */
export const quotedForShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
