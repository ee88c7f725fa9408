/** What one node and one pair of nodes do, beside the reference plugins and the bare underlay. */
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { atMost, type Figure, median, plain, type Suite, type SuiteContext } from '../figure.ts';
import { withLab } from '../lab.ts';
import { residentMb } from '../process.ts';
import { mustRun, traffic } from '../traffic.ts';
import type { InsideRequest, InsideSamples } from './inside.ts';

const product = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));
const inside = fileURLToPath(new URL('./inside.js', import.meta.url));
const reference = '/usr/lib/cni';

export const suite: Suite = async (context) => {
  context.progress('a lab of four nodes, the fourth without its agent');
  return withLab({ name: 'bench', nodes: 4, withoutAgents: ['node-4'] }, async (lab) => [
    ...(await attachments(lab, context)),
    ...(await traffic(lab, 'vxlan', context)),
    await newNode(lab, context),
    agentMemory(lab.node('node-1')),
  ]);
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

async function newNode(lab: Lab, { progress }: SuiteContext): Promise<Figure> {
  progress('a fourth node joins');
  const target = lab.podNamed('a').addresses[0] ?? '';
  const begun = performance.now();
  await lab.node('node-4').agent.start();
  const pod = await lab.pod('node-4', 'd');
  await mustRun(pod, ['ping', '-n', '-c', '1', '-W', '2', target]);
  const what = 'weftd started on a new node until its first pod has pinged a pod of another node';
  return plain({ what, ours: performance.now() - begun, peer: undefined, unit: 'ms' });
}

function agentMemory(node: LabNode): Figure {
  const what = 'resident memory of one agent, 3 peers, file store';
  return atMost(72, { what, ours: residentMb(node), peer: undefined, unit: 'MB' });
}
