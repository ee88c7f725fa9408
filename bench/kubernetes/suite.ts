/** Leases from Node objects: how fast a node knows its peers, and what that costs the API server and the node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ensureKubernetes } from '../../lab/kubernetes/binaries.ts';
import { ensureNodeBinary } from '../../scripts/package/node-binary.ts';
import { nodePin } from '../../scripts/package/pins.ts';
import { atMost, atMostOfPeer, type Figure, median, percentile, plain, type Suite } from '../figure.ts';
import { inEnvironment } from '../leases/environment.ts';
import type { KubernetesRequest, KubernetesSamples } from './inside.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const inside = fileURLToPath(new URL('./inside.js', import.meta.url));
const weftd = fileURLToPath(new URL('../../../dist/bin/weftd', import.meta.url));

/** Of flannel v0.28.9 with Node objects of the same size, on a 2-core machine of this kind. */
const flannel = 'flannel 0.28.9, measured elsewhere';
const targets: Readonly<Record<number, { startMs: number; residentMb: number }>> = {
  1000: { startMs: 1000, residentMb: 85 },
  5000: { startMs: 3000, residentMb: 125 },
};
const flannels: Readonly<Record<number, { startMs: number; residentMb: number }>> = {
  1000: { startMs: 1300, residentMb: 78 },
  5000: { startMs: 3900, residentMb: 175 },
};
const flannelReportsCpuMs = 600;

export const suite: Suite = async ({ progress }) => {
  await ensureKubernetes(progress);
  const { program: node } = ensureNodeBinary(nodePin(root, process.arch));
  const counts = [1000, 5000];
  progress('kube-apiserver and weftd in a namespace of their own, with 1000 and 5000 Nodes');
  const samples = await measure({ node, weftd, counts, repeats: 3, announcements: 200 });
  const { reports } = samples;
  return [
    ...counts.flatMap((count) => startFigures(count, samples)),
    atMost(6 + (counts[0] ?? 0) / 500 - 1, {
      what: `requests of a start until the Node's condition is written, ${counts[0]} Nodes in pages of 500`,
      ours: samples.requests,
      peer: undefined,
      unit: '',
    }),
    atMostOfPeer(0.25, {
      what: `bytes received when each of ${counts[0]} nodes reports its status once`,
      ours: reports.metadataBytes / 1e6,
      peer: { name: 'a watch of whole Nodes', value: reports.wholeBytes / 1e6 },
      unit: 'MB',
    }),
    atMost(flannelReportsCpuMs / 2, {
      what: 'processor time of weftd meanwhile',
      ours: reports.cpuMs,
      peer: { name: flannel, value: flannelReportsCpuMs },
      unit: 'ms',
    }),
    ...[0.5, 0.99].map((share) =>
      atMost(50, {
        what: `a Node's annotations written until the route is notified, ${counts.at(-1)} Nodes, p${share * 100}`,
        ours: percentile(samples.announcedMs, share),
        peer: undefined,
        unit: 'ms',
      }),
    ),
  ];
};

function startFigures(count: number, { starts }: KubernetesSamples): Figure[] {
  const some = starts.filter(({ nodes }) => nodes === count);
  const [target, peer] = [targets[count], flannels[count]];
  return [
    atMost(target?.startMs ?? 0, {
      what: `weftd started until every peer is programmed, ${count} Nodes`,
      ours: median(some.map(({ programmedMs }) => programmedMs)),
      peer: { name: flannel, value: peer?.startMs ?? 0 },
      unit: 'ms',
    }),
    plain({
      what: `of that, the API server's share: the list alone, ${count} Nodes`,
      ours: median(some.map(({ listMs }) => listMs)),
      peer: undefined,
      unit: 'ms',
    }),
    plain({
      what: `of that, processor time of weftd, ${count} Nodes`,
      ours: median(some.map(({ cpuMs }) => cpuMs)),
      peer: undefined,
      unit: 'ms',
    }),
    atMost(target?.residentMb ?? 0, {
      what: `resident memory of weftd, ${count} Nodes`,
      ours: some.find(({ residentMb }) => residentMb !== undefined)?.residentMb ?? Number.NaN,
      peer: { name: flannel, value: peer?.residentMb ?? 0 },
      unit: 'MB',
    }),
  ];
}

const measure = (request: Omit<KubernetesRequest, 'folder'>): Promise<KubernetesSamples> =>
  inEnvironment(async ({ place, folder }) => {
    const whole: KubernetesRequest = { ...request, folder };
    const [program = '', ...args] = [...place, process.execPath, inside, JSON.stringify(whole)];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(`${program} ${args.slice(0, 4).join(' ')} failed with ${status}`);
    return JSON.parse(Buffer.concat(output).toString());
  });
