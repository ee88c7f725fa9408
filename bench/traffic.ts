/** What two pods on two nodes of a lab can send each other, beside what the nodes can. */
import type { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { type Figure, plain, type SuiteContext } from './figure.ts';

const STREAM_SECONDS = 3;

interface Place {
  exec: LabNode['exec'];
}
interface Pair {
  readonly from: Place;
  readonly to: Place;
  readonly address: string;
}

/** Makes the pods `a` on node-1 and `b` on node-2. `way`: in words, for the table. */
export async function traffic(lab: Lab, way: string, { progress }: SuiteContext): Promise<Figure[]> {
  progress(`one TCP stream and request/response, pod to pod and node to node, ${way}`);
  const [a, b] = [await lab.pod('node-1', 'a'), await lab.pod('node-2', 'b')];
  const [from, to] = [lab.node('node-1'), lab.node('node-2')];
  const address = (of: { addresses: readonly string[] }): string => of.addresses[0] ?? '';
  const pods = { from: a, to: b, address: address(b) };
  const nodes = { from, to, address: address(to) };
  const peer = 'bare underlay';
  return [
    plain({
      what: `one TCP stream, pod to pod on two nodes, ${way}`,
      ours: await streamGbits(pods),
      peer: { name: peer, value: await streamGbits(nodes) },
      unit: 'Gbit/s',
    }),
    plain({
      what: `TCP request and response, pod to pod on two nodes, half a round trip, ${way}`,
      ours: await latencyMicros(pods),
      peer: { name: peer, value: await latencyMicros(nodes) },
      unit: 'us',
    }),
  ];
}

/** Runs a command there; throws what it said if it fails. */
export async function mustRun(place: Place, argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await place.exec(argv);
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr || stdout}`);
  return stdout;
}

async function streamGbits({ from, to, address }: Pair): Promise<number> {
  const server = mustRun(to, ['iperf3', '--server', '--one-off', '--json']);
  await listening(to, 5201);
  const client = ['iperf3', '--client', address, '--time', String(STREAM_SECONDS), '--json'];
  const report = JSON.parse(await mustRun(from, client));
  await server;
  return report.end.sum_received.bits_per_second / 1e9;
}

async function latencyMicros({ from, to, address }: Pair): Promise<number> {
  const server = mustRun(to, ['qperf']);
  await listening(to, 19765);
  const report = await mustRun(from, ['qperf', '--time', '2', address, 'tcp_lat', 'quit']);
  await server;
  const [, value, unit] = /latency\s*=\s*([\d.]+)\s*(\w+)/.exec(report) ?? [];
  return Number(value) * (unit === 'ns' ? 0.001 : unit === 'ms' ? 1000 : 1);
}

/** Until something listens on the TCP port there. */
async function listening(place: Place, port: number): Promise<void> {
  const filter = `sport = :${port}`;
  for (let looks = 0; looks < 500; looks++) {
    if ((await mustRun(place, ['ss', '-Htln', filter])).trim()) return;
  }
  throw new Error(`nothing listens on TCP port ${port}`);
}
