/**
 * `npm run conformance [-- --only ID] [--reference-only]`: every case on our executable, in every version,
 * done by an agent and by the standalone plugin, and on Debian's reference plugins as an oracle. Exit status 1 if a case fails, or if the reference
 * contradicts one without a reason that is known.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { missing } from '../../scripts/needs.ts';
import type { Case } from './case.ts';
import { loopbackCases } from './cases/loopback.ts';
import { loopback, reference, referenceLoopback, type Subject, weft, weftByAgent } from './subject.ts';
import { allCases, type Outcome, runSuite } from './suite.ts';
import { report } from './table.ts';

const { values } = parseArgs({
  options: { only: { type: 'string' }, 'reference-only': { type: 'boolean' }, parallel: { type: 'string' } },
});

const chosen = (cases: readonly Case[]): readonly Case[] =>
  cases.filter((each) => values.only === undefined || each.id === values.only);
const parallel = Number(values.parallel ?? 2);

const lacking =
  missing(['root', 'ip', 'bridge', 'nft', 'ping', 'mount', 'unshare', 'nsenter']) ??
  (hasPlugin(reference) ? undefined : 'the reference plugins: apt-get install containernetworking-plugins') ??
  (values['reference-only'] || hasPlugin(weft) ? undefined : 'our own executable: npm run build');
if (lacking) {
  process.stderr.write(`conformance: this needs ${lacking}\n`);
  process.exit(1);
}

async function run(subject: Subject, cases = allCases): Promise<Outcome[]> {
  process.stderr.write(`${subject.name} `);
  const outcomes = await runSuite({ subject, cases: chosen(cases), parallel, onOutcome: progress });
  process.stderr.write('\n');
  return outcomes;
}

function hasPlugin({ type, pluginDirs }: Subject): boolean {
  return pluginDirs.some((folder) => existsSync(join(folder, type)));
}

const progress = ({ verdict }: Outcome): boolean =>
  process.stderr.write({ passed: '.', failed: 'F', differs: 'd' }[verdict]);

const oracle = [...(await run(reference)), ...(await run(referenceLoopback, loopbackCases))];
const outcomes = values['reference-only']
  ? []
  : [...(await run(weft)), ...(await run(weftByAgent)), ...(await run(loopback, loopbackCases))];
const tables = values['reference-only'] ? report(oracle) : report(outcomes, oracle);
process.stdout.write(`${tables}\n`);
process.exitCode = [...outcomes, ...oracle].some((each) => each.verdict === 'failed') ? 1 : 0;
