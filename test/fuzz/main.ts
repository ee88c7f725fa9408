/** `npm run fuzz [-- --minutes 10] [--seed N]`: random calls of the built executables, by root, in namespaces of its own. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { missing } from '../../scripts/needs.ts';
import { fuzz } from './fuzz.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 10);
const seed = Number(values.seed ?? randomInt(2 ** 31));

const lacking = missing(['root', 'ip', 'nft', 'mount', 'unshare', 'nsenter']);
if (lacking) {
  process.stderr.write(`fuzz: this needs ${lacking}\n`);
  process.exit(1);
}

process.stdout.write(`fuzz: ${minutes} minutes, --seed ${seed}\n`);
const { calls, byCode, finding } = await fuzz({
  seed,
  seconds: minutes * 60,
  onProgress: (done) => process.stderr.write(`\r${done} calls`),
});
process.stderr.write('\n');
const counts = [...byCode].sort().map(([what, count]) => `${what.padStart(16)}: ${count}`);
process.stdout.write(`${calls} calls; verb and code:\n${counts.join('\n')}\n`);
if (finding) process.stdout.write(`\nFOUND: ${finding}\n`);
process.exitCode = finding ? 1 : 0;
