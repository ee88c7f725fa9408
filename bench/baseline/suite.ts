/** What one node and one pair of nodes do, beside the reference plugins and the bare underlay. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { atMost, type Figure, median, plain, type Suite, type SuiteContext } from '../figure.ts';
import type { InsideRequest, InsideSamples } from './inside.ts';

const product = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));
const inside = fileURLToPath(new URL('./inside.js', import.meta.url));
const reference = '/usr/lib/cni';
const STREAM_SECONDS = 3;

export const suite: Suite = async (context) => {
  context.progress('a lab of four nodes, the fourth without its agent');
  const lab = await Lab.up({ name: 'bench', nodes: 4, withoutAgents: ['node-4'] });
  try {
    return [
      ...(await attachments(lab, context)),
      ...(await dataPath(lab, context)),
      await newNode(lab, context),
      agentMemory(lab.node('node-1')),
    ];
  } finally {
    await lab.down();
  }
};

async function attachments(lab: Lab, { progress }: SuiteContext): Promise<Figure[]> {
  progress('ADD and DEL in process, as a standalone process, and by the reference plugins');
  const request: InsideRequest = {
    standalone: product('cni/weft-standalone'),
    reference,
    inProcessRounds: 60,
    processRounds: 15,
  };
  const samples: InsideSamples = JSON.parse(
    await lab.node('node-3').mustExec([process.execPath, inside, JSON.stringify(request)]),
  );
  const unit = 'ms';
  const beside = (what: string, ours: number[], theirs: number[]): Figure =>
    plain({ what, ours: median(ours), peer: { name: 'bridge + host-local', value: median(theirs) }, unit });
  return [
    atMost(2, { what: 'ADD in process, p50', ours: median(samples.inProcessAdd), peer: undefined, unit }),
    beside('standalone ADD, whole process, p50', samples.standaloneAdd, samples.referenceAdd),
    beside('standalone DEL, whole process, p50', samples.standaloneDel, samples.referenceDel),
  ];
}

async function dataPath(lab: Lab, { progress }: SuiteContext): Promise<Figure[]> {
  progress('one TCP stream and request/response, pod to pod and node to node');
  const [a, b] = [await lab.pod('node-1', 'a'), await lab.pod('node-2', 'b')];
  const [from, to] = [lab.node('node-1'), lab.node('node-2')];
  const address = (of: { addresses: readonly string[] }): string => of.addresses[0] ?? '';
  const pods = { from: a, to: b, address: address(b) };
  const nodes = { from, to, address: address(to) };
  const peer = 'bare underlay';
  return [
    plain({
      what: 'one TCP stream, pod to pod on two nodes',
      ours: await streamGbits(pods),
      peer: { name: peer, value: await streamGbits(nodes) },
      unit: 'Gbit/s',
    }),
    plain({
      what: 'TCP request and response, pod to pod on two nodes, half a round trip',
      ours: await latencyMicros(pods),
      peer: { name: peer, value: await latencyMicros(nodes) },
      unit: 'us',
    }),
  ];
}

interface Place {
  exec: LabNode['exec'];
}
interface Pair {
  readonly from: Place;
  readonly to: Place;
  readonly address: string;
}

async function must(place: Place, argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await place.exec(argv);
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr || stdout}`);
  return stdout;
}

async function streamGbits({ from, to, address }: Pair): Promise<number> {
  const server = must(to, ['iperf3', '--server', '--one-off', '--json']);
  await listening(to, 5201);
  const client = ['iperf3', '--client', address, '--time', String(STREAM_SECONDS), '--json'];
  const report = JSON.parse(await must(from, client));
  await server;
  return report.end.sum_received.bits_per_second / 1e9;
}

async function latencyMicros({ from, to, address }: Pair): Promise<number> {
  const server = must(to, ['qperf']);
  await listening(to, 19765);
  const report = await must(from, ['qperf', '--time', '2', address, 'tcp_lat', 'quit']);
  await server;
  const [, value, unit] = /latency\s*=\s*([\d.]+)\s*(\w+)/.exec(report) ?? [];
  return Number(value) * (unit === 'ns' ? 0.001 : unit === 'ms' ? 1000 : 1);
}

/** Until something listens on the TCP port there. */
async function listening(place: Place, port: number): Promise<void> {
  const filter = `sport = :${port}`;
  for (let looks = 0; looks < 500; looks++) {
    if ((await must(place, ['ss', '-Htln', filter])).trim()) return;
  }
  throw new Error(`nothing listens on TCP port ${port}`);
}

async function newNode(lab: Lab, { progress }: SuiteContext): Promise<Figure> {
  progress('a fourth node joins');
  const target = lab.podNamed('a').addresses[0] ?? '';
  const begun = performance.now();
  await lab.node('node-4').agent.start();
  const pod = await lab.pod('node-4', 'd');
  await must(pod, ['ping', '-n', '-c', '1', '-W', '2', target]);
  const what = 'weftd started on a new node until its first pod has pinged another node’s';
  return plain({ what, ours: performance.now() - begun, peer: undefined, unit: 'ms' });
}

function agentMemory(node: LabNode): Figure {
  const pid = node.agent.running()?.pid;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  const what = 'resident memory of one agent, 3 peers, file store';
  return atMost(72, { what, ours: Number(kilobytes) / 1024, peer: undefined, unit: 'MB' });
}
