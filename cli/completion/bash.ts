import { values, walk } from './cases.ts';
import { type CompletedCommand, type CompletedValue, quotedForShell as quoted } from './tree.ts';

/** A script for bash 4 and later; it needs nothing of the package bash-completion. */
export function bashCompletion(tree: readonly CompletedCommand[]): string {
  return `# Completion of weftctl for bash; made by "weftctl completion bash".
_weftctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} at='' skip='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [ -n "$skip" ]; then
      skip=''
      continue
    fi
    case "$at|\${COMP_WORDS[i]}" in
${walk(tree)}
    esac
  done
  case "$at|$before" in
${values(tree, valueAction)}
  esac
  local words='' flags=''
  case "$at" in
${tree.map(listed).join('\n')}
  esac
  [[ $current != -* ]] || words=$flags
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _weftctl weftctl
`;
}

const valueAction = ({ isFile, choices }: CompletedValue): string =>
  `mapfile -t COMPREPLY < <(compgen ${isFile ? '-f' : `-W ${quoted(choices.join(' '))}`} -- "$current")`;

/** Options are offered once a hyphen is typed. */
function listed({ path, commands, options, choices }: CompletedCommand): string {
  const words = [...commands.map(({ name }) => name), ...choices].join(' ');
  const flags = options.flatMap((option) => option.flags).join(' ');
  return `    ${quoted(path)}) words=${quoted(words)} flags=${quoted(flags)} ;;`;
}
