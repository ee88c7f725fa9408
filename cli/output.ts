/** `-o text|json|yaml`, the same for every command that prints data. */
import { type Command, Option } from 'commander';

export type OutputFormat = 'text' | 'json' | 'yaml';

export interface OutputOptions {
  readonly output: OutputFormat;
}

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'output format').choices(['text', 'json', 'yaml']).default('text');

/** `text` is called only for the format `text`; the other formats print the value. */
export async function formatted(
  output: OutputFormat,
  value: unknown,
  text: () => string | Promise<string>,
): Promise<string> {
  if (output === 'json') return `${JSON.stringify(value, null, 2)}\n`;
  if (output === 'yaml') return (await import('yaml')).stringify(value);
  return await text();
}

/** Example lines at the end of a command's help. */
export const withExamples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);

/** Writes it to stdout. */
export async function print(...given: Parameters<typeof formatted>): Promise<void> {
  process.stdout.write(await formatted(...given));
}
