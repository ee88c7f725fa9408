/** Whether pods wait for peers: ADDs on a node that has to make its way to thousands of peers anew. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { subnetKey, subnetsFolder } from '../../agent/lease/key.ts';
import { encodeValue } from '../../agent/lease/value.ts';
import { cidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { labFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { type Figure, percentile } from '../figure.ts';
import { Starter } from './starter.ts';
import { call, weft } from './subjects.ts';

const PEERS = 5000;
const IDLE_CALLS = 400;
/** So many that the peers are not all there before they are over. */
const CALLS = 100;
const REPAIRS = 4;

export async function underReconciliation(progress: (text: string) => void): Promise<Figure[]> {
  progress(`a lab of one node with ${PEERS} peers that only its store knows`);
  const configuration = { network: '10.64.0.0/10' };
  const lab = await Lab.up({ name: 'bench-peers', nodes: 1, withoutAgents: true, configuration });
  const node = lab.node('node-1');
  const starter = Starter.make(node);
  try {
    await node.mustExec(['ip', 'netns', 'add', 'pod']);
    const adds = async (count: number): Promise<number[]> => {
      const pair = (['ADD', 'DEL'] as const).map((verb) => call(weft, verb, 'pod'));
      const { eachMs } = await starter.inTurn(Array.from({ length: count }, () => pair).flat(), 1);
      return eachMs.filter((_, i) => i % 2 === 0);
    };
    addLeases(lab.name);
    await node.agent.start();
    await programmed(node);
    progress(`${IDLE_CALLS} ADDs, idle`);
    const idle = await adds(IDLE_CALLS);
    const busy: number[] = [];
    for (let repair = 1; repair <= REPAIRS; repair++) {
      progress(`ADDs while the lost device is made anew, ${repair} of ${REPAIRS}`);
      await node.mustExec(['ip', 'link', 'del', 'weft.1']);
      busy.push(...(await adds(CALLS)));
      await programmed(node);
    }
    const [ours, value] = [percentile(busy, 0.99), percentile(idle, 0.99)];
    return [
      {
        what: `one ADD, p99, while the way to ${PEERS} peers is made anew`,
        ours,
        peer: { name: 'idle', value },
        unit: 'ms',
        target: '<= idle + 5 ms',
        met: ours <= value + 5,
      },
    ];
  } finally {
    starter.remove();
    await lab.down();
  }
}

/** Leases as other nodes would have written them. */
function addLeases(lab: string): void {
  const folder = join(labFolder(lab), 'store', subnetsFolder);
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < PEERS; i++) {
    const [high, low] = [i >> 8, i & 255];
    const octet = (value: number): string => value.toString(16).padStart(2, '0');
    const value = encodeValue({
      publicIps: [ip(`172.31.${high}.${low}`)],
      backend: { type: 'vxlan', vni: 1, vtepMac: `0a:00:00:00:${octet(high)}:${octet(low)}` },
    });
    const key = subnetKey([cidr(`10.${100 + high}.${low}.0/24`)]);
    writeFileSync(join(folder, key), value);
  }
}

/** Until there is a route to every peer. */
async function programmed(node: LabNode): Promise<void> {
  for (let looks = 0; looks < 600; looks++) {
    const routes = await node.mustExec(['sh', '-c', 'ip route show proto 87 | wc -l']);
    if (Number(routes) >= PEERS) return;
    await sleep(100);
  }
  throw new Error(`the agent has not made routes to ${PEERS} peers within a minute`);
}
