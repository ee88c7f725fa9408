/** What the measurements of this suite share: a node, its starter, and calls with options of one's own. */
import type { LabNode } from '../../lab/node.ts';
import type { Process, Starter } from '../cni/starter.ts';
import { call, type Subject } from '../cni/subjects.ts';

export interface ContractEnvironment {
  readonly node: LabNode;
  readonly starter: Starter;
  readonly progress: (text: string) => void;
}

/** The subject with more in its configuration. */
export const having = (subject: Subject, more: object): Subject => ({
  ...subject,
  configuration: { ...subject.configuration, ...more },
});

/** ADD and DEL of one pod. */
export const pair = (subject: Subject, pod: string): { add: Process; del: Process } => ({
  add: call(subject, 'ADD', pod),
  del: call(subject, 'DEL', pod),
});

export async function makeNamespaces(node: LabNode, names: readonly string[]): Promise<void> {
  await node.mustExec(['sh', '-c', `for name in ${names.join(' ')}; do ip netns add $name || exit 1; done`]);
}
