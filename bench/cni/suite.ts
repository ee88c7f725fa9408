/**
 * A pod's network, up and down: whole processes from fork to exit, beside the reference plugins in the same run
 * on the same node. Calls of the three subjects alternate, so that what else the machine does meets them all.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import {
  atMost,
  atMostOfPeer,
  type Figure,
  median,
  percentile,
  type Suite,
  plain as untargeted,
} from '../figure.ts';
import { residentMb } from '../process.ts';
import { underReconciliation } from './reconciling.ts';
import { Starter, type Timed } from './starter.ts';
import { call, masquerading, plain, type Subject, standalone, weft } from './subjects.ts';

const SINGLES = 100;
/** Until the kernel is done with what the last call left to it. */
const GAP_MS = 40;
const NO_GAP_MS = 1;
const BURST = 50;
const BURSTS = 5;
const SERIES = 110;
const STANDALONES = 30;
/** After the last call: by then the agent has tidied up. */
const SETTLED_MS = 5000;

const subjects = [weft, plain, masquerading] as const;
const verbs = ['ADD', 'DEL'] as const;
type Verb = (typeof verbs)[number];

export const suite: Suite = async ({ progress }) => {
  progress('a lab of two nodes');
  const lab = await Lab.up({ name: 'bench-cni', nodes: 2 });
  const node = lab.node('node-1');
  const starter = Starter.make(node);
  try {
    const environment = { node, starter };
    progress(`${BURST * subjects.length} namespaces`);
    await makePods(environment);
    progress(`${SINGLES} ADDs and DELs of each, one at a time`);
    const figures = await singles(environment);
    progress(`${SINGLES} of each without pauses`);
    figures.push(...(await withoutPauses(environment)));
    progress(`${BURSTS} times ${BURST} ADDs and DELs of each at once`);
    figures.push(...(await bursts(environment)));
    progress(`${SERIES} pods of each, one after another`);
    figures.push(await series(environment));
    progress(`${STANDALONES} standalone ADDs`);
    figures.push(...(await standalones(environment)));
    progress('1000 ADDs and DELs');
    figures.push(...(await memory(environment)));
    return [...figures, ...(await underReconciliation(progress))];
  } finally {
    starter.remove();
    await lab.down();
  }
};

interface Environment {
  readonly node: LabNode;
  readonly starter: Starter;
}

/** Each subject has namespaces of its own: two pods in one would be in each other's way. */
const podOf = (subject: Subject, i: number): string => `p${subjects.indexOf(subject)}-${i}`;

async function makePods({ node }: Environment): Promise<void> {
  const names = subjects.flatMap((subject) => Array.from({ length: BURST }, (_, i) => podOf(subject, i)));
  await node.mustExec(['sh', '-c', `for pod in ${names.join(' ')}; do ip netns add $pod || exit 1; done`]);
}

/** The samples of each subject and verb. */
type Samples = ReadonlyMap<Subject, Record<Verb, number[]>>;
const noSamples = (): Samples => new Map(subjects.map((subject) => [subject, { ADD: [], DEL: [] }]));
const of = (samples: Samples, subject: Subject, verb: Verb): number[] => samples.get(subject)?.[verb] ?? [];

async function singles({ starter }: Environment): Promise<Figure[]> {
  const samples = noSamples();
  const round = verbs.flatMap((verb) => subjects.map((subject) => ({ verb, subject })));
  const calls = round.map(({ verb, subject }) => call(subject, verb, podOf(subject, 0)));
  await starter.inTurn(calls, GAP_MS); // warm: files in memory, the agent's code compiled
  for (let i = 0; i < SINGLES; i++) {
    const { eachMs } = await starter.inTurn(calls, GAP_MS);
    for (const [at, { verb, subject }] of round.entries())
      of(samples, subject, verb).push(eachMs[at] ?? Number.NaN);
  }
  return besides(samples, [
    { what: 'one ADD', verb: 'ADD', plain: 0.25, masquerading: 0.1 },
    { what: 'one DEL', verb: 'DEL', plain: 0.12, masquerading: 0.07 },
  ]);
}

/** Each subject's on its own, hardly apart: what of the above is a processor that was idle before. */
async function withoutPauses({ starter }: Environment): Promise<Figure[]> {
  const samples = noSamples();
  for (const subject of [weft, plain]) {
    const pair = verbs.map((verb) => call(subject, verb, podOf(subject, 0)));
    const { eachMs } = await starter.inTurn(Array.from({ length: SINGLES }, () => pair).flat(), NO_GAP_MS);
    for (const [at, ms] of eachMs.entries()) of(samples, subject, at % 2 ? 'DEL' : 'ADD').push(ms);
  }
  return verbs.map((verb) =>
    untargeted({
      what: `one ${verb}, p50, ${NO_GAP_MS} ms after the last call`,
      ours: median(of(samples, weft, verb)),
      peer: { name: plain.name, value: median(of(samples, plain, verb)) },
      unit: 'ms',
    }),
  );
}

async function bursts({ starter }: Environment): Promise<Figure[]> {
  const samples = noSamples();
  for (let i = 0; i <= BURSTS; i++) {
    for (const verb of verbs) {
      for (const subject of subjects) {
        const pods = Array.from({ length: BURST }, (_, pod) => podOf(subject, pod));
        const { wallMs } = await starter.atOnce(pods.map((pod) => call(subject, verb, pod)));
        if (i > 0) of(samples, subject, verb).push(wallMs);
      }
    }
  }
  return besides(samples, [
    { what: `${BURST} ADDs at once, wall`, verb: 'ADD', plain: 0.25, masquerading: 0.08 },
    { what: `${BURST} DELs at once, wall`, verb: 'DEL', plain: 0.25, masquerading: 0.05 },
  ]);
}

/** Ours beside both peers: the middle with the target, the tail without. */
function besides(
  samples: Samples,
  rows: readonly { what: string; verb: Verb; plain: number; masquerading: number }[],
): Figure[] {
  return rows.flatMap(({ what, verb, ...targets }) =>
    (
      [
        ['plain', plain],
        ['masquerading', masquerading],
      ] as const
    ).flatMap(([key, peer]) => {
      const ours = of(samples, weft, verb);
      const theirs = of(samples, peer, verb);
      const figure = (label: string, most: number, value: (of: readonly number[]) => number): Figure =>
        atMostOfPeer(most, {
          what: `${what}, ${label}`,
          ours: value(ours),
          peer: { name: peer.name, value: value(theirs) },
          unit: 'ms',
        });
      return [
        figure('p50', targets[key], median),
        { ...figure('p99', targets[key], (of) => percentile(of, 0.99)), target: undefined, met: undefined },
      ];
    }),
  );
}

async function series({ starter }: Environment): Promise<Figure> {
  const wall = async (subject: Subject): Promise<number> => {
    const pods = Array.from({ length: SERIES }, (_, i) => podOf(subject, i % BURST));
    const calls = pods.flatMap((pod) => verbs.map((verb) => call(subject, verb, pod)));
    const { wallMs }: Timed = await starter.inTurn(calls, 0);
    return wallMs;
  };
  const [ours, theirs] = [await wall(weft), await wall(plain)];
  const what = `${SERIES} pods, ADD then DEL, one at a time, wall`;
  return atMostOfPeer(0.2, { what, ours, peer: { name: plain.name, value: theirs }, unit: 'ms' });
}

/** On the Node.js that runs this, and on the one that is delivered, if it is in the checkout. */
async function standalones({ starter }: Environment): Promise<Figure[]> {
  const delivered = fileURLToPath(new URL('../../../.node/bin/node', import.meta.url));
  const nodes = new Set([process.execPath, ...(existsSync(delivered) ? [delivered] : [])]);
  const figures: Figure[] = [];
  for (const node of nodes) {
    const bare = { command: [node, '-e', '0'], stdin: '', env: {} };
    const pod = podOf(weft, 0);
    const [add, del] = verbs.map((verb) => call(standalone(node), verb, pod));
    const samples: { bare: number[]; add: number[] } = { bare: [], add: [] };
    for (let i = 0; i <= STANDALONES && add && del; i++) {
      const { eachMs } = await starter.inTurn([bare, add, del], GAP_MS);
      if (i === 0) continue; // it learns what it compiled
      samples.bare.push(eachMs[0] ?? Number.NaN);
      samples.add.push(eachMs[1] ?? Number.NaN);
    }
    const [ours, value] = [median(samples.add), median(samples.bare)];
    const what = `standalone ADD, p50, ${node === delivered ? 'Node.js as delivered' : `Node.js ${process.version}`}`;
    figures.push(atMostOfPeer(1.6, { what, ours, peer: { name: 'node -e 0', value }, unit: 'ms' }));
  }
  return figures;
}

async function memory({ node, starter }: Environment): Promise<Figure[]> {
  const pairs = async (count: number): Promise<number> => {
    const pods = Array.from({ length: count }, (_, i) => podOf(weft, i % BURST));
    await starter.inTurn(
      pods.flatMap((pod) => verbs.map((verb) => call(weft, verb, pod))),
      0,
    );
    await sleep(SETTLED_MS);
    return residentMb(node);
  };
  const before = await pairs(100);
  const after = await pairs(900);
  const what = "the agent's resident memory 5 s after 1000 ADDs and DELs";
  return [
    atMost(72, { what, ours: after, peer: undefined, unit: 'MB' }),
    atMost(2, { what: `${what}: more than after 100`, ours: after - before, peer: undefined, unit: 'MB' }),
  ];
}
