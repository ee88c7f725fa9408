/**
 * Which rules and elements pods have in weft's tables: what the steps make one by one, for whoever keeps it all
 * true at once.
 */

import type { Part } from '../../kernel/nft/part.ts';
import type { NftSet, SetElement } from '../../kernel/nft/set.ts';
import { hostPortsPart } from './host-ports/rules.ts';
import { hostPortElements, hostPortSets, type PodWithPorts } from './host-ports/sets.ts';
import { masqueradePart } from './masquerade/rules.ts';
import { type MasqueradedPod, masqueradeElements, masqueradeSets } from './masquerade/sets.ts';
import { spoofCheckPart } from './spoof-check/rules.ts';
import { type CheckedPod, spoofElements, spoofSets } from './spoof-check/sets.ts';

/** What an attachment's record says of these matters. */
export type RuledPod = PodWithPorts & MasqueradedPod & CheckedPod;

/** Rules that look at what pods put into sets; each is there once a pod needs it. */
export interface PodRules {
  readonly part: Part;
  readonly sets: readonly NftSet[];
  /** Every key names the pod's own interface, so that no other pod can have it. */
  readonly keyedByPod: boolean;
  elementsOf(pod: RuledPod): SetElement[];
}

export const hostPortRules: PodRules = {
  part: hostPortsPart,
  sets: hostPortSets,
  keyedByPod: false,
  elementsOf: hostPortElements,
};
export const masqueradeRules: PodRules = {
  part: masqueradePart,
  sets: masqueradeSets,
  keyedByPod: false,
  elementsOf: masqueradeElements,
};
export const spoofRules: PodRules = {
  part: spoofCheckPart,
  sets: spoofSets,
  keyedByPod: true,
  elementsOf: spoofElements,
};

export const podRules: readonly PodRules[] = [hostPortRules, masqueradeRules, spoofRules];
