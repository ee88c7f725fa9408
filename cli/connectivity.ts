/** `weftctl connectivity test`: whether every pod reaches every pod, in a real cluster or a lab. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Interruption } from './connectivity/during.ts';
import type { PairResult } from './connectivity/pairs.ts';
import type { Place } from './connectivity/place.ts';
import { UNHEALTHY } from './exit-status.ts';
import { type OutputOptions, outputOption, print } from './output.ts';
import { withProgress } from './progress.ts';
import { table, terminalWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

interface TestOptions extends OutputOptions {
  readonly lab?: string;
  readonly ssh: string;
  readonly weftctl: string;
  readonly during?: string;
  readonly mayLose: number;
}

interface Report {
  readonly nodes: readonly { readonly node: string; readonly addresses: readonly string[] }[];
  readonly pairs: readonly PairResult[];
  /** With `--during`: what was lost meanwhile. */
  readonly during?: readonly Interruption[];
}

export function describeConnectivity(connectivity: Command): void {
  connectivity.description('Test whether pods reach each other.');
  connectivity
    .command('test [nodes...]')
    .description(
      'Make a pod on every node, ping from each to each with small and full-size packets, remove the pods.',
    )
    .option('--lab <name>', 'the nodes of a lab of this machine')
    .option('--ssh <command>', 'the ssh command', 'ssh -o BatchMode=yes -o ConnectTimeout=10')
    .option('--weftctl <file>', 'weftctl on the nodes', '/opt/weft/current/bin/weftctl')
    .option('--during <command>', 'run this by the shell, ping all the while, and count what is lost')
    .option(
      '--may-lose <count>',
      'with --during: as many lost packets of a pair are no failure',
      wholeNumber,
      0,
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
NODES are "local", or where ssh gets root, such as root@node-2; two or more of one cluster.
Pods are made by each node's own CNI configuration; nothing is left behind.

Exit status:
  0  every pod reaches every pod
  1  the test cannot be made: no pod, no ssh, wrong usage
  2  some do not, or more was lost than --may-lose

Examples:
  weftctl connectivity test local root@node-2 root@node-3
  weftctl connectivity test local root@node-2 --during 'ssh root@node-2 ./weft/install.sh'
  weftctl connectivity test --lab lab`,
    )
    .action(test);
}

async function test(nodes: readonly string[], options: TestOptions): Promise<void> {
  const places: Place[] = [];
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  try {
    const makers = await makersOf(nodes, options);
    await withProgress(`making pods on ${makers.length} nodes`, async () => {
      const made = await Promise.allSettled(makers.map((make) => make()));
      places.push(...made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
      const failure = made.find((one) => one.status === 'rejected');
      if (failure) throw failure.reason;
    });
    const report = await Promise.race([reportOf(places, options), aborted(stop.signal)]);
    await print(options.output, report, () => reportText(report));
    if (!isWhole(report, options)) process.exitCode = UNHEALTHY;
  } finally {
    await Promise.all(places.map((place) => place.remove()));
  }
}

async function makersOf(nodes: readonly string[], options: TestOptions): Promise<(() => Promise<Place>)[]> {
  const pod = `weft-test-${process.pid}`;
  if (options.lab !== undefined) {
    if (nodes.length > 0) throw new UsageError('give nodes, or --lab NAME, not both');
    const { placesInLab } = await import('./connectivity/lab-places.ts');
    return placesInLab(options.lab, pod);
  }
  if (nodes.length < 2)
    throw new UsageError('give two nodes or more, such as local root@node-2; or --lab NAME');
  const { placeOn } = await import('./connectivity/hosts.ts');
  const { weftctl } = options;
  return nodes.map((node) => () => placeOn(node, { ssh: options.ssh.split(' '), weftctl, pod }));
}

async function reportOf(places: readonly Place[], { during }: TestOptions): Promise<Report> {
  const { pairsOf, testPairs } = await import('./connectivity/pairs.ts');
  const pairs = pairsOf(places);
  const interruptions = during === undefined ? undefined : await watched(pairs, during);
  const results = await withProgress(`testing ${pairs.length} pairs`, () => testPairs(pairs));
  return {
    nodes: places.map(({ node, addresses }) => ({ node, addresses })),
    pairs: results,
    ...(interruptions ? { during: interruptions } : {}),
  };
}

/** Its output goes to stderr: stdout is for the report. */
async function watched(
  pairs: Parameters<typeof import('./connectivity/pairs.ts').testPairs>[0],
  command: string,
) {
  const { spawn } = await import('node:child_process');
  const { watchPairs } = await import('./connectivity/during.ts');
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.pipe(process.stderr, { end: false });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('close', resolve);
    child.on('error', reject);
  });
  const interruptions = await watchPairs(pairs, ended);
  const status = await ended;
  if (status !== 0) throw new UsageError(`--during: the command ended with status ${status}`);
  return interruptions;
}

const isWhole = ({ pairs, during = [] }: Report, { mayLose }: TestOptions): boolean =>
  pairs.every(({ outcome }) => outcome === 'ok') && during.every(({ lost }) => lost <= mayLose);

function reportText({ nodes, pairs, during }: Report): string {
  const rows = pairs.map(({ from, to, address, outcome, bytes }) => [
    from,
    to,
    address,
    outcome === 'large' ? `packets of ${bytes} bytes lost` : outcome,
  ]);
  const failed = pairs.filter(({ outcome }) => outcome !== 'ok').length;
  const lost = during?.filter((one) => one.lost > 0) ?? [];
  const interruptions = lost.map((one) => [
    ...[one.from, one.to, one.address, `${one.lost} of ${one.sent}`, `${one.longestMs} ms`],
  ]);
  return [
    table([['FROM', 'TO', 'ADDRESS', 'RESULT'], ...rows], { width: terminalWidth() }),
    ...(lost.length
      ? [
          '\n',
          table([['FROM', 'TO', 'ADDRESS', 'LOST', 'LONGEST'], ...interruptions], { width: terminalWidth() }),
        ]
      : []),
    '\n',
    ...(during ? [`${lost.length} of ${during.length} pairs lost packets meanwhile\n`] : []),
    failed
      ? `${failed} of ${pairs.length} pairs failed; on the node: weftctl status\n`
      : `every pod on ${nodes.length} nodes reaches every other, with full-size packets too\n`,
  ].join('');
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new UsageError('interrupted; the pods are removed')));
  });

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}
