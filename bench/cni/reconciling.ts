/**
 * Whether pods wait for peers: ADDs on a node that programs the entries of thousands of peers again, compared with the
 * same ADDs on a node with an idle agent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { addCrowd, crowdedNetwork } from '../crowd.ts';
import { type Figure, median, percentile } from '../figure.ts';
import { Starter } from './starter.ts';
import { call, weft } from './subjects.ts';

const PEERS = 5000;
const CALLS = 400;
/** So many that the peers are not all there before they are over. */
const CALLS_A_REPAIR = 100;
const REPAIRS = CALLS / CALLS_A_REPAIR;
/** What the agent does once after its start is over. */
const SETTLED_MS = 2000;

export async function underReconciliation(progress: (text: string) => void): Promise<Figure[]> {
  progress(`a lab of two nodes; the second has ${PEERS} peers that only its store knows`);
  const quiet = await measureOn('bench-quiet', 0, async ({ adds }) => {
    progress(`${CALLS} ADDs beside an idle agent`);
    return { idle: await adds(CALLS) };
  });
  const crowded = await measureOn('bench-peers', PEERS, async ({ node, adds }) => {
    progress(`${CALLS} ADDs beside an idle agent with ${PEERS} peers`);
    const idle = await adds(CALLS);
    const busy: number[] = [];
    for (let repair = 1; repair <= REPAIRS; repair++) {
      progress(`ADDs while the removed device is repaired, ${repair} of ${REPAIRS}`);
      await node.mustExec(['ip', 'link', 'del', 'weft.1']);
      busy.push(...(await adds(CALLS_A_REPAIR)));
      await programmed(node);
    }
    return { idle, busy };
  });
  const figures = (what: string, ours: readonly number[]): Figure[] => {
    const peer = (value: number) => ({ name: 'an idle agent without peers', value });
    const [tail, tailIdle] = [percentile(ours, 0.99), percentile(quiet.idle, 0.99)];
    return [
      {
        what: `one ADD, p50, ${what}`,
        ours: median(ours),
        peer: peer(median(quiet.idle)),
        unit: 'ms',
        target: undefined,
        met: undefined,
      },
      {
        what: `one ADD, p99, ${what}`,
        ours: tail,
        peer: peer(tailIdle),
        unit: 'ms',
        target: '<= idle + 5 ms',
        met: tail <= tailIdle + 5,
      },
    ];
  };
  return [
    ...figures(`an idle agent with ${PEERS} peers`, crowded.idle),
    ...figures(`while the entries of ${PEERS} peers are programmed again`, crowded.busy),
  ];
}

interface Environment {
  readonly node: LabNode;
  /** How long each of so many ADDs took, with a DEL after each. */
  adds(count: number): Promise<number[]>;
}

async function measureOn<T>(
  name: string,
  peers: number,
  measure: (environment: Environment) => Promise<T>,
): Promise<T> {
  const configuration = { network: crowdedNetwork };
  const lab = await Lab.up({ name, nodes: 1, withoutAgents: true, configuration });
  const node = lab.node('node-1');
  const starter = Starter.make(node);
  const adds = async (count: number): Promise<number[]> => {
    const pair = (['ADD', 'DEL'] as const).map((verb) => call(weft, verb, 'pod'));
    const { eachMs } = await starter.inTurn(Array.from({ length: count }, () => pair).flat(), 1);
    return eachMs.filter((_, i) => i % 2 === 0);
  };
  try {
    await node.mustExec(['ip', 'netns', 'add', 'pod']);
    addCrowd(lab.name, peers);
    await node.agent.start();
    await programmed(node, peers);
    await adds(20); // warm: files in memory, the agent's code compiled
    await sleep(SETTLED_MS);
    return await measure({ node, adds });
  } finally {
    starter.remove();
    await lab.down();
  }
}

/** Until there is a route to every peer. */
async function programmed(node: LabNode, peers = PEERS): Promise<void> {
  for (let looks = 0; looks < 600; looks++) {
    const routes = await node.mustExec(['sh', '-c', 'ip route show type unicast proto 87 | wc -l']);
    if (Number(routes) >= peers) return;
    await sleep(100);
  }
  throw new Error(`the agent has not made routes to ${peers} peers within a minute`);
}
