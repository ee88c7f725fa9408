/** A manual page of a program, made from its commander tree. */
import type { Command } from 'commander';
import { escaped, literal, page, section, tagged } from './roff.ts';

/** `more`: sections that the tree does not have. */
export function commandPage(
  program: Command,
  { version, more = [] }: { version: string; more?: readonly string[] },
): string {
  const name = program.name();
  return page({
    name,
    chapter: 8,
    version,
    description: lowered(program.description()),
    sections: [
      section(
        'synopsis',
        `.B ${escaped(name)}\n${escaped(
          program
            .createHelp()
            .commandUsage(program)
            .slice(name.length + 1),
        )}`,
      ),
      section('description', escaped(program.description())),
      ...optionsOf(program, 'SH'),
      ...(program.commands.length
        ? [section('commands', ...program.commands.flatMap((one) => commandText(one, name)))]
        : []),
      ...additionsOf(program),
      ...more,
    ],
  });
}

/** A command and those below it. */
function commandText(command: Command, before: string): string[] {
  const path = `${before} ${command.name()}`;
  const parents = before.split(' ').length;
  const own = command.createHelp().commandUsage(command).split(' ').slice(parents).join(' ');
  const usage = `${before} ${own}`;
  return [
    `.SS ${escaped(path)}`,
    ...(command.commands.length ? [] : [`.B ${escaped(usage)}\n.PP`]),
    escaped(command.description()),
    ...optionsOf(command, undefined),
    ...additionsOf(command).map((text) => text.replace(/^\.SH /, '.PP\n.B ')),
    ...command.commands.flatMap((child) => commandText(child, path)),
  ];
}

function optionsOf(command: Command, heading: 'SH' | undefined): string[] {
  const help = command.createHelp();
  const options = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => tagged(help.optionTerm(option), help.optionDescription(option)));
  if (options.length === 0) return [];
  return heading ? [section('options', ...options)] : options;
}

/** What `addHelpText` adds, cut at its headings: `Exit status:`, `Examples:`. */
function additionsOf(command: Command): string[] {
  const text = addedText(command).trim();
  if (text === '') return [];
  return text.split(/\n\n(?=\S)/).map((part) => {
    const heading = /^(Exit status|Examples):\n?/.exec(part);
    return heading
      ? section(heading[1] ?? '', literal(part.slice(heading[0].length)))
      : section('notes', literal(part));
  });
}

function addedText(command: Command): string {
  const help = command.helpInformation();
  let all = '';
  command.configureOutput({
    writeOut: (text) => {
      all += text;
    },
  });
  command.outputHelp();
  return all.slice(help.length);
}

const lowered = (text: string): string =>
  text.replace(/\.$/, '').replace(/^./, (first) => first.toLowerCase());
