import { values, walk } from './cases.ts';
import { type CompletedCommand, type CompletedValue, quotedForShell as quoted } from './tree.ts';

/** A script for zsh, as a file `_weftctl` in its fpath or sourced. */
export function zshCompletion(tree: readonly CompletedCommand[]): string {
  return `#compdef weftctl
# Completion of weftctl for zsh; made by "weftctl completion zsh".
_weftctl() {
  local at='' skip='' i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    if [[ -n $skip ]]; then
      skip=''
      continue
    fi
    case "$at|\${words[i]}" in
${walk(tree)}
    esac
  done
  case "$at|\${words[CURRENT - 1]}" in
${values(tree, valueAction)}
  esac
  case "$at" in
${tree.map(listed).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option options
  elif (( \${#commands} )); then
    _describe command commands
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _weftctl ]]; then
  _weftctl "$@"
else
  compdef _weftctl weftctl
fi
`;
}

const valueAction = ({ isFile, choices }: CompletedValue): string =>
  isFile ? '_files' : `compadd -- ${choices.map(quoted).join(' ')}`;

const listed = ({ path, commands, options, choices }: CompletedCommand): string => {
  const entries = [
    ...commands.map(({ name, description }) => entry(name, description)),
    ...choices.map((choice) => entry(choice, '')),
  ];
  const flags = options.flatMap(({ flags, description }) => flags.map((flag) => entry(flag, description)));
  return `    ${quoted(path)}) commands=(${entries.join(' ')}) options=(${flags.join(' ')}) ;;`;
};

/** `_describe` reads `name:description`. */
const entry = (name: string, description: string): string =>
  quoted(description ? `${name}:${description.replaceAll(':', '\\:')}` : name);
