/**
 * How fast what is lost comes back: from the damage (or the end of its cause) to the first ping that is answered
 * again, on a lab of three nodes. flannel repairs none of it; what else there is to compare with is a second.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Family } from '../../inet/ip.ts';
import { type Damage, damages, damageVariables, shellOn } from '../../lab/damage.ts';
import type { Lab } from '../../lab/lab.ts';
import { familyOf } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { atMost, type Figure, median, type Suite, type SuiteContext } from '../figure.ts';
import { withLab } from '../lab.ts';
import { lives } from './lives.ts';
import { PingStream } from './stream.ts';

const ROUNDS = 5;
const MOST_MS = 250;
/** Long enough for neighbours to be fresh again, so that one round does not feel the one before. */
const PAUSE_MS = 300;

export const suite: Suite = async (context) => [...(await repairs(context)), ...(await lives(context))];

async function repairs(context: SuiteContext): Promise<Figure[]> {
  context.progress('a lab of three nodes, both families');
  return withLab({ name: 'bench-heal', families: ['ipv4', 'ipv6'] }, async (lab) => {
    await Promise.all(lab.nodes.map(({ name }, i) => lab.pod(name, ['a', 'b', 'c'][i] ?? name)));
    const figures: Figure[] = [];
    for (const family of ['ipv4', 'ipv6'] as const) {
      let bystandersLost = 0;
      for (const [what, damage] of Object.entries(damages)) {
        const { repairsMs, lost } = await measure({ lab, family, what, damage, context });
        bystandersLost += lost;
        const figure = { what: `${what}, ${family}`, ours: median(repairsMs), peer: undefined, unit: 'ms' };
        figures.push(atMost(MOST_MS, figure));
      }
      const what = `pings lost between two other nodes in all of these, ${family}`;
      figures.push(atMost(0, { what, ours: bystandersLost, peer: undefined, unit: 'pings' }));
    }
    return figures;
  });
}

async function measure(options: {
  lab: Lab;
  family: Family;
  what: string;
  damage: Damage;
  context: SuiteContext;
}): Promise<{ repairsMs: number[]; lost: number }> {
  const { lab, family, what, damage, context } = options;
  const elsewhere = damage.concerns === 'peerNode';
  const node = lab.node(elsewhere ? 'node-2' : 'node-1');
  const [a, b, c] = [lab.podNamed('a'), lab.podNamed('b'), lab.podNamed('c')];
  const variables = await damageVariables({
    lab,
    node,
    peer: lab.node(elsewhere ? 'node-1' : 'node-2'),
    family,
  });
  const [concerned, bystander] = [
    new PingStream(a, of(b, family)),
    new PingStream(elsewhere ? a : b, of(c, family)),
  ];
  const repairsMs: number[] = [];
  const begunMs = Date.now();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await concerned.more(20, 2000);
      // The shell that does the damage says when it began and when it had done it.
      const timed = `date +%s.%N; ${damage.commands}; date +%s.%N`;
      const { stdout, stderr, status } = await shellOn(node, timed, variables);
      if (status !== 0) throw new Error(`${what}: ${stderr}`);
      const [startMs = 0, endMs = 0] = stdout.match(/\d{9,}\.\d+/g)?.map((time) => Number(time) * 1000) ?? [];
      await concerned.more(20, 5000);
      await delay(PAUSE_MS);
      repairsMs.push(concerned.gap(startMs, damage.lasts ? endMs : startMs).repairMs);
      if (damage.undo) {
        await shellOn(node, damage.undo, variables);
        await concerned.more(20, 5000);
        await delay(PAUSE_MS);
      }
    }
    await bystander.more(20, 2000);
  } finally {
    concerned.stop();
    bystander.stop();
  }
  const { lost } = bystander.gap(begunMs, begunMs);
  context.progress(`${family} ${what}: ${repairsMs.map(Math.round).join(' ')} ms; others lost ${lost}`);
  return { repairsMs, lost };
}

const of = (pod: LabPod, family: Family): string =>
  pod.addresses.find((address) => familyOf(address) === family) ?? '';
