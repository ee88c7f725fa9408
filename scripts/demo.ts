/**
 * `npm run demo`: three nodes, two pods on each, every pod pings every pod; what the nodes agreed on, and the way of
 * one packet as it was captured. Exit status 1 if anything is lost. The lab is always removed at the end.
 */
import { Command, Option } from 'commander';
import { backendTypes } from '../agent/config/config.ts';
import { formatCidr } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import { familiesOf } from '../lab/families.ts';
import { Lab } from '../lab/lab.ts';
import { type LabLease, readLeases } from '../lab/leases.ts';
import { type Endpoint, formatMatrix, formatTable, lost, type PingResult, pingAll } from '../lab/ping.ts';
import type { LabPod } from '../lab/pod.ts';
import { identify } from '../lab/processes.ts';
import { labNames } from '../lab/state.ts';
import type { Hop } from '../lab/trace.ts';
import { missing } from './needs.ts';

/** A lab of our own, so that a demo disturbs no other. */
const name = `demo-${process.pid}`;
const podsPerNode = 2;
const startedAt = performance.now();

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const step = (text: string): void =>
  print(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(4)} s] ${text}`);
const heading = (text: string): void => print(`\n${text}\n`);
const indented = (text: string): string => text.replace(/^/gm, '  ');

interface DemoOptions {
  readonly family: string;
  readonly backend: string;
}

const readArguments = (): DemoOptions =>
  new Command('demo')
    .description('Three nodes, two pods on each: every pod pings every pod.')
    .addOption(
      new Option('--family <family>', 'of pods and nodes').choices(Object.keys(familiesOf)).default('ipv4'),
    )
    .addOption(
      new Option('--backend <type>', 'how packets reach another node').choices(backendTypes).default('vxlan'),
    )
    .parse()
    .opts<DemoOptions>();

/** Returns how many pings were sent and which were lost. */
async function show({ family, backend }: DemoOptions): Promise<{ sent: number; lost: PingResult[] }> {
  const lab = await Lab.up({ name, backend, families: familiesOf[family] ?? [], progress: step });
  step(`${lab.nodes.length * podsPerNode} pods`);
  const pods = await makePods(lab);
  step('ready');

  heading('Leases: which subnet each node holds, and how its peers reach it');
  print(indented(formatTable(leaseRows(await readLeases(lab)))));

  const [from, to] = [pods[0], pods.at(-1)];
  if (from && to) {
    heading(
      `The way of one packet from ${from.name} (${from.node.name}) to ${to.name} (${to.node.name}), as captured`,
    );
    print(indented(formatTable(hopRows(await lab.trace(from, to)))));
  }

  heading('Every pod to every pod: round-trip times');
  const podToPod = await lab.ping();
  print(indented(formatMatrix(podToPod)));

  heading("Every node to the other nodes' pods");
  const nodeToPod = await pingAll({ sources: lab.nodes, targets: pods, skip: sameNode });
  print(indented(formatMatrix(nodeToPod)));

  heading('Every pod to the other nodes');
  const podToNode = await pingAll({ sources: pods, targets: lab.nodes, skip: sameNode });
  print(indented(formatMatrix(podToNode)));

  const all = [...podToPod, ...nodeToPod, ...podToNode];
  print('');
  step(
    `pod to pod: ${answered(podToPod)}; node to pod: ${answered(nodeToPod)}; pod to node: ${answered(podToNode)}`,
  );
  return { sent: all.length, lost: lost(all) };
}

/** a and b on node-1, c and d on node-2, ... */
async function makePods(lab: Lab): Promise<LabPod[]> {
  const wanted = lab.nodes.flatMap((node, i) =>
    Array.from({ length: podsPerNode }, (_, j) => ({
      node: node.name,
      name: String.fromCharCode(97 + i * podsPerNode + j),
    })),
  );
  return Promise.all(wanted.map((pod) => lab.pod(pod.node, pod.name)));
}

const sameNode = (from: Endpoint, to: Endpoint): boolean => from.host === to.host;

const answered = (results: readonly PingResult[]): string =>
  `${results.length - lost(results).length} of ${results.length} answered`;

const leaseRows = (leases: readonly LabLease[]): string[][] => [
  ['node', 'subnet', 'underlay address', 'VTEP MAC'],
  ...leases.map((lease) => [
    lease.node ?? '?',
    lease.subnets.map(formatCidr).join(' '),
    lease.publicIps.map(formatIp).join(' '),
    [lease.backend.vtepMac, lease.backend.vtepMac6].filter((mac) => mac !== undefined).join(' ') || '-',
  ]),
];

const hopRows = (hops: readonly Hop[]): string[][] =>
  hops.map((hop) => [
    hop.station,
    hop.device,
    hop.direction,
    `${hop.source} -> ${hop.destination}`,
    hop.tunnel ? `in VXLAN ${hop.tunnel.vni}, ${hop.tunnel.source} -> ${hop.tunnel.destination}` : '',
  ]);

/** What a demo left that was killed so hard that it could not clean up. */
async function removeLeftovers(): Promise<void> {
  for (const lab of labNames()) {
    const pid = /^demo-(\d+)$/.exec(lab)?.[1];
    if (pid && !identify(Number(pid))) {
      step(`removing ${lab}, which an earlier demo left`);
      await Lab.down(lab);
    }
  }
}

async function main(): Promise<number> {
  const options = readArguments();
  const lacking = missing(['root', 'ip', 'ping', 'nft', 'mount', 'nsenter', 'unshare', 'bash']);
  if (lacking) throw new Error(`the demo needs ${lacking}`);
  let interrupted: NodeJS.Signals | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interrupted = signal;
      // Whatever is going on fails when its processes end, and then the lab goes down for good.
      Lab.down(name).catch((error: unknown) => print(String(error)));
    });
  }
  try {
    await removeLeftovers();
    const result = await show(options);
    for (const { from, to, address, said } of result.lost)
      print(`\nlost: ${from} to ${to} (${address})\n${indented(said)}`);
    if (result.lost.length > 0) throw new Error(`${result.lost.length} of ${result.sent} pings were lost`);
  } catch (error) {
    if (!interrupted) throw error;
  } finally {
    await Lab.down(name);
    step('the lab is down: nothing of it is left');
  }
  if (!interrupted) return 0;
  print(`demo: ended by ${interrupted}`);
  return 1;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  },
);
