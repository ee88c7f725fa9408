/**
 * `npm run bench [-- SUITE...]`: measures, prints each figure beside its peer of the same run, and keeps all in
 * `bench/results.json`. A suite is loaded when it is run.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Figure, Suite } from './figure.ts';
import { formatFigures } from './table.ts';

const suites: Readonly<Record<string, () => Promise<{ readonly suite: Suite }>>> = {
  cni: () => import('./cni/suite.ts'),
  contract: () => import('./contract/suite.ts'),
  overlay: () => import('./overlay/suite.ts'),
  heal: () => import('./heal/suite.ts'),
  baseline: () => import('./baseline/suite.ts'),
  leases: () => import('./leases/suite.ts'),
  kubernetes: () => import('./kubernetes/suite.ts'),
  operate: () => import('./operate/suite.ts'),
};

const resultsPath = fileURLToPath(new URL('../../bench/results.json', import.meta.url));

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !Object.hasOwn(suites, name));
  if (unknown.length) {
    throw new Error(`no suite ${unknown.join(', ')}: there is ${Object.keys(suites).join(', ')}`);
  }
  if (process.geteuid?.() !== 0)
    throw new Error('the benchmarks configure networks of their own: run them as root');
  for (const name of names.length ? names : Object.keys(suites)) {
    const load = suites[name];
    if (!load) continue;
    process.stdout.write(`\n${name}\n\n`);
    const { suite } = await load();
    const figures = await suite({ progress: (text) => process.stderr.write(`  ${text}\n`) });
    process.stdout.write(formatFigures(figures));
    keep(name, figures);
  }
}

function keep(name: string, figures: readonly Figure[]): void {
  const results = readResults();
  results[name] = {
    node: process.version,
    kernel: release(),
    cpus: cpus().length,
    figures: figures.map((figure) => ({ ...figure, met: figure.met })),
  };
  writeFileSync(resultsPath, `${JSON.stringify(results, null, 2)}\n`);
}

function readResults(): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(resultsPath, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
