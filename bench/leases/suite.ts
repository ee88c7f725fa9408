/** Leases in etcd: how fast a node knows its peers, and what it costs etcd and the node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { netnsPath } from '../../lab/names.ts';
import { ensureNodeBinary } from '../../scripts/package/node-binary.ts';
import { nodePin } from '../../scripts/package/pins.ts';
import { atMost, type Figure, median, percentile, plain, type Suite } from '../figure.ts';
import { withLab } from '../lab.ts';
import { inEnvironment } from './environment.ts';
import type { LabBenchRequest, LabSamples } from './in-lab.ts';
import type { LeaseRequest, LeaseSamples, Start } from './inside.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const inside = fileURLToPath(new URL('./inside.js', import.meta.url));
const weftd = fileURLToPath(new URL('../../../dist/bin/weftd', import.meta.url));
const inLab = fileURLToPath(new URL('./in-lab.js', import.meta.url));

/** Of flannel v0.28.9 with etcd 3.4 on a 2-core machine of this kind. */
const flannel = 'flannel 0.28.9, measured elsewhere';
const startMs: Readonly<Record<number, { most: number; flannel: number }>> = {
  1: { most: 300, flannel: 140 },
  255: { most: 350, flannel: 300 },
  1000: { most: 500, flannel: 900 },
  5000: { most: 1100, flannel: 4400 },
};
const residentMb: Readonly<Record<number, { most: number; flannel: number }>> = {
  255: { most: 85, flannel: 43 },
  5000: { most: 115, flannel: 48 },
};

export const suite: Suite = async ({ progress }) => {
  const { program: node } = ensureNodeBinary(nodePin(root, process.arch));
  const request = { node, weftd, leases: [1, 255, 1000, 5000], repeats: 5, puts: 250, quietSeconds: 60 };
  progress('etcd and weftd in a namespace of their own, with 1, 255, 1000 and 5000 leases');
  const samples = await measure(request);
  return [
    plain({
      what: 'the first start of a version, before its code is compiled, 1 lease',
      ours: samples.first.programmedMs,
      peer: { name: flannel, value: 140 },
      unit: 'ms',
    }),
    ...request.leases.flatMap((leases) =>
      startFigures(
        leases,
        samples.starts.filter((start) => start.leases === leases),
      ),
    ),
    ...[0.5, 0.99].map((share) =>
      atMost(share === 0.5 ? 4 : 7, {
        what: `a lease put until the route is notified, p${share * 100}`,
        ours: percentile(samples.putToRouteMs, share),
        peer: { name: flannel, value: share === 0.5 ? 4 : 6.5 },
        unit: 'ms',
      }),
    ),
    plain({
      what: 'processor time of weftd for a lease put',
      ours: samples.putCpuMs,
      peer: undefined,
      unit: 'ms',
    }),
    plain({
      what: `processor time of weftd per minute while nothing changes, ${request.puts} peers`,
      ours: (samples.quiet.cpuMs * 60) / samples.quiet.seconds,
      peer: undefined,
      unit: 'ms',
    }),
    atMost(0, {
      what: 'revisions while nothing changes',
      ours: samples.quiet.revisions,
      peer: undefined,
      unit: '',
    }),
    ...dailyFigures(samples),
    ...(await labFigures(progress)),
  ];
};

/** Sixteen nodes and their etcd share the cores of this machine; TLS on every connection. */
async function labFigures(progress: (text: string) => void): Promise<Figure[]> {
  const nodes = 16;
  const joining = [12, 13, 14, 15, 16].map((n) => `node-${n}`);
  progress(`a lab of ${nodes} nodes on etcd, ${joining.length} of which join one after another`);
  const options = { name: 'bench-leases', nodes, store: 'etcd', withoutAgents: joining } as const;
  return withLab(options, async (lab) => {
    const request: LabBenchRequest = { lab: lab.name, puts: 60, joining };
    const place = ['nsenter', `--net=${netnsPath(lab.name, 'etcd-1')}`, '--'];
    const samples: LabSamples = JSON.parse(
      await outputOf([...place, process.execPath, inLab, JSON.stringify(request)]),
    );
    const join = 'a new node joins 16: ';
    const figure = (what: string, values: readonly number[], share: number) => ({
      what: `${what}, p${share * 100}`,
      ours: percentile(values, share),
      peer: undefined,
      unit: 'ms',
    });
    return [
      plain(figure(`a lease put until the route is notified on ${nodes} nodes`, samples.putToRoute, 0.5)),
      atMost(
        50,
        figure(`a lease put until the route is notified on ${nodes} nodes`, samples.putToRoute, 0.99),
      ),
      atMost(
        1000,
        figure(`${join}weftd started until the first ping from every other`, samples.startToPing, 0.99),
      ),
      plain(figure(`${join}of that, its own start until its record is in etcd`, samples.startToRecord, 0.5)),
      plain(
        figure(
          `${join}of that, from there until its route is in the others' kernels`,
          samples.recordToRoute,
          0.99,
        ),
      ),
      plain(figure(`${join}of that, from there until it answers pings`, samples.routeToPing, 0.99)),
    ];
  });
}

function startFigures(leases: number, starts: readonly Start[]): Figure[] {
  const time = startMs[leases];
  const memory = residentMb[leases];
  const figures = [
    atMost(time?.most ?? 0, {
      what: `weftd started until every peer is programmed, ${leases} leases`,
      ours: median(starts.map(({ programmedMs }) => programmedMs)),
      peer: { name: flannel, value: time?.flannel ?? 0 },
      unit: 'ms',
    }),
    atMost(12, {
      what: `requests of a cold start, ${leases} leases`,
      ours: Math.max(...starts.map(({ requests }) => requests)),
      peer: { name: `${flannel}: 2N + 9`, value: 2 * leases + 9 },
      unit: '',
    }),
  ];
  if (memory) {
    figures.push(
      atMost(memory.most, {
        what: `resident memory of weftd, ${leases} peers`,
        ours: starts.at(-1)?.residentMb ?? Number.NaN,
        peer: { name: flannel, value: memory.flannel },
        unit: 'MB',
      }),
    );
  }
  return figures;
}

/**
 * Computed: the quiet minute as measured, and a whole list an hour. flannel by its source: each day a grant and
 * a put of its own, and for each peer's put an event and a TimeToLive, here with 0.5 kB for the two.
 */
function dailyFigures({ quiet, starts }: LeaseSamples): Figure[] {
  const quietDays = 86_400 / quiet.seconds;
  const largest = starts.at(-1);
  const bytesPerLease = (largest?.receivedBytes ?? 0) / (largest?.leases ?? 1);
  return [10, 1000, 5000].flatMap((nodes) => [
    plain({
      what: `messages at etcd per node and day, ${nodes} nodes (computed)`,
      ours: quiet.requests * quietDays + 24,
      peer: { name: "flannel's source", value: 2 + nodes },
      unit: '',
    }),
    plain({
      what: `bytes at etcd per node and day, ${nodes} nodes (computed)`,
      ours: (quiet.bytes * quietDays + 24 * nodes * bytesPerLease) / 1e6,
      peer: { name: "flannel's source", value: (nodes * 500) / 1e6 },
      unit: 'MB',
    }),
  ]);
}

const measure = (request: Omit<LeaseRequest, 'folder'>): Promise<LeaseSamples> =>
  inEnvironment(async ({ place, folder }) => {
    const whole: LeaseRequest = { ...request, folder };
    return JSON.parse(await outputOf([...place, process.execPath, inside, JSON.stringify(whole)]));
  });

/** What a program prints; throws where it fails. */
async function outputOf([program = '', ...args]: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`${program} ${args.slice(0, 4).join(' ')} failed with ${status}`);
  return Buffer.concat(output).toString();
}
