/**
 * Part of `npm run check`: docs/style.md where a program can tell. Strings hold no banned word and straight apostrophes
 * only, lines of strings and comments are not longer than the page. Files that are not converted yet are listed in
 * `unconverted.ts`; `npm run check:words -- --list` prints those that still belong there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { findingsIn } from './findings.ts';
import { unconverted } from './unconverted.ts';

/** They name the banned words. */
const own = /^(scripts|test\/unit)\/check\//;

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && !own.test(file) && existsSync(file));
const found = new Map(files.map((file) => [file, findingsIn(readFileSync(file, 'utf8'))]));
const withFindings = files.filter((file) => found.get(file)?.length);

if (process.argv.includes('--list')) {
  for (const file of withFindings) process.stdout.write(`  '${file}',\n`);
} else {
  const lines = withFindings
    .filter((file) => !unconverted.has(file))
    .flatMap((file) => (found.get(file) ?? []).map(({ line, text }) => `${file}:${line}: ${text}`));
  if (lines.length) {
    process.stderr.write(`${lines.join('\n')}\n`);
    process.exitCode = 1;
  }
}
