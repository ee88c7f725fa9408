/** What differs between what this node's Node says and what it should say. Pure. */
import type { LeaseAttributes } from '../lease.ts';
import { type Annotations, differingAnnotations, encodeAnnotations } from './annotations.ts';
import type { SeenNode } from './node.ts';
import type { Condition, NodePatch } from './node-writer.ts';

export interface OwnNode {
  readonly uid: string;
  readonly value: SeenNode;
}

/** What this node has to say; undefined: nothing of that kind. */
export interface Message {
  /** Where the subnet is held from this very Node. */
  readonly attributes: LeaseAttributes | undefined;
  readonly condition: Condition | undefined;
}

/** The condition that was written last, and on which Node. */
export interface Told {
  readonly uid: string;
  readonly message: string;
}

/** Undefined where nothing differs. */
export function pendingPatch(given: {
  readonly node: OwnNode | undefined;
  readonly message: Message;
  readonly told: Told | undefined;
  readonly annotationPrefix: string;
}): NodePatch | undefined {
  const { node, message, told, annotationPrefix } = given;
  if (!node) return undefined;
  const { uid, value } = node;
  const annotations = message.attributes
    ? pendingAnnotations(message.attributes, value.annotations, annotationPrefix)
    : {};
  const condition = pendingCondition(message.condition, { node, told });
  if (Object.keys(annotations).length === 0 && !condition) return undefined;
  return { uid, annotations, condition };
}

/** Those that differ, with their prefix; empty where a Node says it all. */
export const pendingAnnotations = (
  attributes: LeaseAttributes,
  found: Annotations,
  prefix: string,
): Annotations => differingAnnotations(encodeAnnotations(attributes, found), found, prefix);

function pendingCondition(
  wanted: Condition | undefined,
  { node, told }: { node: OwnNode; told: Told | undefined },
): Condition | undefined {
  if (!wanted) return undefined;
  const found = node.value.networkUnavailable;
  const same = told?.uid === node.uid && told.message === wanted.message;
  // That the network is available needs no words of ours; a new reason why it is not has to be said.
  if (found === wanted.status && (same || wanted.status === 'False')) return undefined;
  return wanted;
}
