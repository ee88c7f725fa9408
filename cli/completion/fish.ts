import { type CompletedCommand, quotedForShell } from './tree.ts';

/** A script for fish 3 and later. */
export function fishCompletion(tree: readonly CompletedCommand[]): string {
  return `# Completion of weftctl for fish; made by "weftctl completion fish".
function __weftctl_at
    set -l at ''
    set -l skip ''
    for word in (commandline -opc)[2..]
        if test -n "$skip"
            set skip ''
            continue
        end
        switch "$at|$word"
${tree.flatMap(walk).join('\n')}
        end
    end
    test "$at" = "$argv[1]"
end
complete -c weftctl -e
${tree.flatMap(completed).join('\n')}
`;
}

/** fish reads a backslash in single quotation marks. */
const quoted = (text: string): string => quotedForShell(text.replaceAll('\\', '\\\\'));

const walk = ({ path, commands, options }: CompletedCommand): string[] => [
  ...commands.map(
    ({ name }) =>
      `            case ${quoted(`${path}|${name}`)}\n                set at ${quoted(`${path} ${name}`.trim())}`,
  ),
  ...options.flatMap(({ flags, value }) =>
    value
      ? flags.map((flag) => `            case ${quoted(`${path}|${flag}`)}\n                set skip yes`)
      : [],
  ),
];

function completed({ path, commands, options, choices }: CompletedCommand): string[] {
  const condition = `complete -c weftctl -n ${quoted(`__weftctl_at ${quoted(path)}`)}`;
  return [
    ...commands.map(
      ({ name, description }) => `${condition} -f -a ${quoted(name)} -d ${quoted(description)}`,
    ),
    ...choices.map((choice) => `${condition} -f -a ${quoted(choice)}`),
    ...options.map(({ flags, description, value }) => {
      const names = flags.map((flag) =>
        flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      const values = !value ? '' : value.isFile ? ' -r -F' : ` -x -a ${quoted(value.choices.join(' '))}`;
      return `${condition} ${names.join(' ')}${values} -d ${quoted(description)}`;
    }),
  ];
}
