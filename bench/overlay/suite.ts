/**
 * What it takes to make the way to many peers and to keep it: time beside iproute2's batches in the same run, CPU and
 * memory of the agent, and what is left of the underlay for pods.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LabNode } from '../../lab/node.ts';
import { addCrowd, crowdedNetwork } from '../crowd.ts';
import { atMost, atMostOfPeer, type Figure, median, type Suite, type SuiteContext } from '../figure.ts';
import { withLab } from '../lab.ts';
import { cpuMs, reload, residentMb } from '../process.ts';
import { traffic } from '../traffic.ts';
import type { ProgrammingRequest, ProgrammingSamples } from './inside.ts';

const inside = fileURLToPath(new URL('./inside.js', import.meta.url));
const run = promisify(execFile);

const sizes = [
  { peers: 255, rounds: 15, programmedMs: 40, residentMb: 72 },
  { peers: 5000, rounds: 7, programmedMs: 500, residentMb: 105 },
] as const;

const IDLE_SECONDS = 30;
const RELOADS = 5;
/** Longer than a whole pass takes, and what follows it. */
const PASS_MS = 1500;
/** What the agent does once after its start is over. */
const SETTLED_MS = 5000;

export const suite: Suite = async (context) => [
  ...(await each(sizes, (size) => programming(size, context))).flat(),
  ...(await each(sizes, (size) => keeping(size, context))).flat(),
  ...(await each(['vxlan', 'direct'], (backend) => sending(backend, context))).flat(),
];

async function each<T, R>(values: readonly T[], measure: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const value of values) results.push(await measure(value));
  return results;
}

async function programming(
  { peers, rounds, programmedMs }: (typeof sizes)[number],
  { progress }: SuiteContext,
): Promise<Figure[]> {
  progress(`${peers} peers from nothing, ${rounds} times, and by ip -batch and bridge -batch`);
  const request: ProgrammingRequest = { peers, rounds };
  // A namespace of its own, which goes with the process.
  const { stdout } = await run('unshare', ['--net', process.execPath, inside, JSON.stringify(request)]);
  const { weft, batches }: ProgrammingSamples = JSON.parse(stdout);
  const what = `${peers} peers from nothing: route, neighbour and forwarding entry of each`;
  const [ours, value] = [median(weft), median(batches)];
  const peer = { name: 'ip -batch, bridge -batch', value };
  return [
    atMost(programmedMs, { what, ours, peer: undefined, unit: 'ms' }),
    atMostOfPeer(0.8, { what, ours, peer, unit: 'ms' }),
  ];
}

async function keeping(
  { peers, residentMb: mostMb }: (typeof sizes)[number],
  { progress }: SuiteContext,
): Promise<Figure[]> {
  progress(`an agent with ${peers} peers in a file store`);
  const configuration = { network: crowdedNetwork };
  const options = { name: 'bench-overlay', nodes: 1, withoutAgents: true, configuration } as const;
  return withLab(options, async (lab) => {
    const node = lab.node('node-1');
    addCrowd(lab.name, peers);
    await node.agent.start();
    await programmed(node, peers);
    await sleep(SETTLED_MS);
    const before = cpuMs(node);
    await sleep(IDLE_SECONDS * 1000);
    const percent = (cpuMs(node) - before) / (IDLE_SECONDS * 10);
    const idle = {
      what: `CPU of an idle agent, ${peers} peers`,
      ours: percent,
      peer: undefined,
      unit: '% of a core',
    };
    const passes = await each(Array.from({ length: RELOADS }), async () => {
      const begun = cpuMs(node);
      reload(node);
      await sleep(PASS_MS);
      return cpuMs(node) - begun - (percent * PASS_MS) / 100;
    });
    const pass = {
      what: `CPU of a reload that reads everything and finds nothing to do, ${peers} peers`,
      ours: median(passes),
      peer: undefined,
      unit: 'ms',
    };
    const memory = {
      what: `resident memory of an agent, ${peers} peers, file store`,
      ours: residentMb(node),
      peer: undefined,
      unit: 'MB',
    };
    const plain = { target: undefined, met: undefined };
    return [
      peers <= 255 ? atMost(0.2, idle) : { ...idle, ...plain },
      peers > 255 ? atMost(60, pass) : { ...pass, ...plain },
      atMost(mostMb, memory),
    ];
  });
}

/** Until there is a route to every peer. */
async function programmed(node: LabNode, peers: number): Promise<void> {
  for (let looks = 0; looks < 600; looks++) {
    const routes = await node.mustExec(['sh', '-c', 'ip route show type unicast proto 87 | wc -l']);
    if (Number(routes) >= peers) return;
    await sleep(100);
  }
  throw new Error(`the agent has not made routes to ${peers} peers within a minute`);
}

function sending(backend: string, context: SuiteContext): Promise<Figure[]> {
  return withLab({ name: 'bench-overlay', nodes: 2, backend }, (lab) => traffic(lab, backend, context));
}
