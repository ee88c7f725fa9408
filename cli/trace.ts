/** `weftctl trace`: which way a packet takes from a pod of this node, and where it stops. */
import type { Command } from 'commander';
import type { DoctorHost } from '../agent/doctor/host.ts';
import type { Ip } from '../inet/ip.ts';
import { painterFor } from './colour.ts';
import { UNHEALTHY } from './exit-status.ts';
import { type OutputOptions, outputOption, print } from './output.ts';
import { UsageError } from './usage-error.ts';

interface TraceOptions extends OutputOptions {
  readonly config?: string;
  readonly port?: string;
}

export function describeTrace(trace: Command): void {
  trace
    .description('Show which way a packet takes from a pod of this node, and where it stops.')
    .argument('<source>', "a pod of this node: its address, its name, or its container's id")
    .argument('<target>', "a pod's address; for a pod of this node its name or container's id as well")
    .option('--port <number>', 'also connect to this TCP port')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
First the way is walked without a packet: what the pod, this node and the other node have for it.
The other node's agent is asked through the store; if that is away, only this node's half is
shown. Then pings, small and of full size, are sent from the pod.

Exit status:
  0  packets pass
  1  wrong usage, or the pod is not found here
  2  packets do not pass: the output says where they stop

Examples:
  weftctl trace 10.244.1.2 10.244.2.7
  weftctl trace default/web 10.244.2.7 --port 80
  weftctl trace 10.244.1.2 10.244.2.7 -o json | jq .stopsAt`,
    )
    .action(run);
}

async function run(source: string, target: string, options: TraceOptions): Promise<void> {
  const { hostname } = await import('node:os');
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  const { withDoctorHost } = await import('../agent/doctor/host.ts');
  const { trace } = await import('../agent/trace/trace.ts');
  const { traceText } = await import('./trace-text.ts');
  const port = portOf(options.port);
  const { config, path } = loadConfig(configSource({ flag: options.config, env: process.env }));
  await withDoctorHost({ config, file: path ?? 'the defaults' }, async (host) => {
    if (!host.saved) throw new UsageError(host.unsaved);
    const from = await podHere(host, source);
    const to = await addressOf(host, { text: target, family: from.family });
    const node = host.saved.saved.lease.nodeName ?? hostname();
    const traced = await trace(host, { source: from, target: to, port, node });
    await print(options.output, traced, () => traceText(traced, { node, paint: painterFor(process.stdout) }));
    if (!traced.passes) process.exitCode = UNHEALTHY;
  });
}

/** An address of a pod of this node. */
async function podHere(host: DoctorHost, text: string): Promise<Ip> {
  const { formatIp, parseIp } = await import('../inet/ip.ts');
  const { podWith } = await import('../agent/trace/half.ts');
  const { peerOf } = await import('../agent/trace/node-walk.ts');
  const address = parseIp(text);
  if (!address) return await addressOf(host, { text, family: undefined });
  if (podWith(host, address)) return address;
  const peer = peerOf(host, address)?.peer;
  if (peer)
    throw new UsageError(
      `${formatIp(address)} is a pod of ${peer.name ?? peer.key}: run weftctl trace there`,
    );
  throw await unknownPod(host, text);
}

/** An address as it is, or that of a pod of this node by its name or container id. */
async function addressOf(
  host: DoctorHost,
  { text, family }: { readonly text: string; readonly family: Ip['family'] | undefined },
): Promise<Ip> {
  const { parseIp } = await import('../inet/ip.ts');
  const { podsNamed } = await import('../agent/trace/pod-names.ts');
  const address = parseIp(text);
  if (address && family !== undefined && address.family !== family)
    throw new UsageError(`${text} is ${address.family}, and the source is ${family}: give two of one family`);
  if (address) return address;
  const found = podsNamed(host.pods, text);
  if (found.length > 1)
    throw new UsageError(`${JSON.stringify(text)} may be several pods of this node: give an address`);
  const own = found[0]?.addresses.map((each) => each.address) ?? [];
  const first = own.find((each) => family === undefined || each.family === family);
  if (!first) throw await unknownPod(host, text);
  return first;
}

/** With the nearest that there are. */
async function unknownPod(host: DoctorHost, text: string): Promise<UsageError> {
  const { nearestPods } = await import('../agent/trace/pod-names.ts');
  const { quoted } = await import('../problem/printable.ts');
  const near = nearestPods(host.pods, text);
  const meant = near.length ? `did you mean ${near.join(', ')}?` : 'this node has no pods';
  return new UsageError(`no pod ${quoted(text)} on this node; ${meant}`);
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new UsageError(`--port ${JSON.stringify(text)}: expected a number from 1 to 65535`);
}
