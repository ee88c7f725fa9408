/** What holds for every command of weftctl. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import { painterFor } from '../../cli/colour.ts';
import { exitStatuses } from '../../cli/exit-status.ts';
import { weftctl } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { helpOf, leaves, weftctlPath } from './ground.ts';

/** They print nothing that a program would read: a sentence, a script, or what another program prints. */
const withoutData: ReadonlySet<string> = new Set([
  'weftctl lab up',
  'weftctl lab rm',
  'weftctl lab exec',
  'weftctl lab kubectl',
  'weftctl lab down',
  'weftctl cluster init',
  'weftctl node leave',
  'weftctl node forget',
  'weftctl node cleanup',
  'weftctl node take-over-flannel',
  'weftctl node hand-back-to-flannel',
  'weftctl plugins install',
  'weftctl plugins remove',
  'weftctl pod apply',
  'weftctl pod logs',
  'weftctl pod exec',
  'weftctl pod rm',
  'weftctl sandbox rm',
  'weftctl completion',
  'weftctl bundle',
]);

describe('every command of weftctl', () => {
  for (const [name, command] of leaves(weftctl())) {
    it(`${name}: help has examples of this command`, () => {
      assert.match(helpOf(command), new RegExp(`\nExamples:\n(.*\n)*?  .*${name}`));
    });
    it(`${name}: -o json and yaml where it prints data`, () => {
      const option = command.options.find(({ short }) => short === '-o');
      if (withoutData.has(name)) assert.equal(option?.argChoices, undefined);
      else assert.deepEqual(option?.argChoices, ['text', 'json', 'yaml']);
    });
    it(`${name}: options and descriptions fit 80 columns`, () => {
      const shown = command.createHelp().formatHelp(command, command.createHelp());
      assert.deepEqual(
        shown.split('\n').filter((line) => line.length > 80),
        [],
      );
    });
  }
});

test('exit statuses: docs/operate.md has the table of the code', () => {
  const page = readFileSync('docs/operate.md', 'utf8');
  for (const [status, meaning] of exitStatuses)
    assert.ok(page.includes(`| ${status} | ${meaning.replace('|', '\\|')} |`), meaning);
});

test('output into a closed pipe: exit status 141, without a word', async () => {
  const child = spawn(weftctlPath, ['completion', 'bash'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const [status] = await once(child, 'close');
  assert.equal(status, 141);
  assert.equal(said, '');
});

test('colours: on a terminal, not with NO_COLOR, not in a pipe', () => {
  assert.equal(painterFor({ isTTY: true, hasColors: () => true })('red', 'x'), '\x1b[31mx\x1b[0m');
  assert.equal(painterFor({ isTTY: true, hasColors: () => false })('red', 'x'), 'x');
  assert.equal(painterFor({})('red', 'x'), 'x');
});

test('NO_COLOR on a real terminal: the painter of stdout adds nothing; without it, it does', () => {
  const module = new URL('../../cli/colour.js', import.meta.url).href;
  const print = 'console.log(painterFor(process.stdout)("red", "x"))';
  const program = `import(${JSON.stringify(module)}).then(({ painterFor }) => ${print})`;
  const onTerminal = (env: Readonly<Record<string, string>>): string =>
    spawnSync('script', ['--quiet', '--command', `${process.execPath} -e '${program}'`, '/dev/null'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
    }).stdout;
  assert.ok(onTerminal({}).includes('\x1b[31mx\x1b[0m'));
  assert.equal(onTerminal({ NO_COLOR: '1' }).trim(), 'x');
});

test('table wider than the terminal: the widest column is cut, the others are whole', () => {
  const long = 'node-with-a-name-that-is-far-too-long-for-a-terminal.example.com';
  const text = table(
    [
      ['PEER', 'SUBNET', 'STATE'],
      [long, '10.244.1.0/24', 'ok'],
    ],
    { width: 40 },
  );
  assert.ok(text.split('\n').every((line) => line.length <= 40));
  assert.match(text, /^node-with-a-name.*… +10\.244\.1\.0\/24 +ok$/m);
  assert.ok(table([[long, 'x']]).includes(long));
});
