/** The completion scripts in the shells that read them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { completionScript } from '../../cli/completion.ts';
import { weftctl } from '../../cli/program.ts';

let folder: string;
const script = (shell: string): string => join(folder, shell);

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-completion-'));
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    writeFileSync(script(shell), await completionScript(shell, weftctl()));
  }
});
after(() => rmSync(folder, { recursive: true }));

/** What each shell offers after a line, as words. */
const shells: Readonly<Record<string, (line: string) => string[]>> = {
  bash: (line) => {
    const words = line.split(' ');
    const program = `source ${script('bash')}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${
      words.length - 1
    }; _weftctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines(execFileSync('bash', ['--norc', '-c', program], { encoding: 'utf8' }));
  },
  fish: (line) =>
    lines(
      execFileSync('fish', ['--no-config', '-c', `source ${script('fish')}; complete -C '${line}'`], {
        encoding: 'utf8',
        env: { ...process.env, HOME: folder },
      }),
    ).map((found) => found.split('\t')[0] ?? ''),
  // zsh completes on a terminal only: one of its own, by zpty. What compadd is given is what is offered.
  zsh: (line) => {
    const program = `zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source ${script('zsh')}'
zpty -w shell 'finish() { print -r -- "OFFERED\${(j: :)offered}END"; offered=() }'
zpty -w shell 'compadd() { local -a found; builtin compadd -O found "$@"; offered+=($found); builtin compadd "$@" }'
zpty -w shell 'zle -C offer complete-word offer'
zpty -w shell 'offer() { offered=(); _main_complete; finish; compstate[insert]= }; bindkey "^I" offer; print READ''Y'
zpty -r shell output '*READY*'
zpty -w -n shell $'${line}\\t'
zpty -r shell output '*OFFERED*END*'
print -r -- "$output"
zpty -d shell`;
    const output = execFileSync('zsh', ['-f', '-c', program], { encoding: 'utf8', timeout: 60_000 });
    // _describe gives compadd everything twice.
    const offered = /OFFERED([\s\S]*?)END/.exec(output)?.[1]?.trim() ?? '';
    return [...new Set(offered.split(/\s+/))];
  },
};

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

for (const [shell, complete] of Object.entries(shells)) {
  test(`${shell}: commands, commands below a command, and after an option with a value`, () => {
    assert.ok(complete('weftctl ').includes('status'));
    assert.ok(complete('weftctl lab ').includes('ping'));
    assert.ok(complete('weftctl lab --name other ').includes('ping'));
    assert.ok(!complete('weftctl lab ').includes('status'));
    assert.deepEqual(complete('weftctl no').toSorted(), ['node']);
  });
  test(`${shell}: options of a command, and the values that an option can have`, () => {
    assert.ok(complete('weftctl node forget --fo').includes('--force'));
    assert.deepEqual(complete('weftctl status -o ').toSorted(), ['json', 'text', 'yaml']);
    assert.deepEqual(complete('weftctl completion ').toSorted(), ['bash', 'fish', 'zsh']);
  });
}
