/** A step that consists of elements in sets that rules look at. */
import { ensureAbsent, formatElement } from '../../kernel/nft/element.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { CniError } from '../errors.ts';
import type { Attachment } from './attachment.ts';
import {
  amissOwned,
  ensureOwned,
  removeAllOwned,
  removeOwned,
  sweepOwned,
  type Taken,
} from './owned-elements.ts';
import { type Owner, ownerOf } from './owner.ts';
import type { PodRules } from './pod-rules.ts';
import type { Step, Wish } from './step.ts';

/** Carried out at once: the caller may be inside a namespace. */
export interface RuleStep extends Step {
  ensure(attachment: Attachment): void;
  teardown(attachment: Attachment): void;
  teardownLost(pod: Owner): void;
  verify(attachment: Attachment): void;
  sweep(network: string, live: () => readonly Attachment[]): void;
}

export function ruleStep(options: {
  wish: Wish;
  rules: PodRules;
  /** A socket of the host's namespace. */
  nfnl: () => Nfnl;
  /** What to say where another pod has the key of one of the elements. */
  refusal?: (attachment: Attachment, taken: Taken) => CniError;
}): RuleStep {
  const { wish, rules, nfnl, refusal = takenBySomebody } = options;
  return {
    wish,
    ensure(attachment) {
      const taken = ensureOwned(nfnl(), rules.part, rules.elementsOf(attachment));
      if (taken) throw refusal(attachment, taken);
    },
    teardown(attachment) {
      const remove = rules.keyedByPod ? ensureAbsent : removeOwned;
      remove(nfnl(), rules.elementsOf(attachment));
    },
    teardownLost(pod) {
      removeAllOwned(nfnl(), rules.sets, ownerOf(pod));
    },
    verify(attachment) {
      const amiss = amissOwned(nfnl(), rules.part, rules.elementsOf(attachment));
      if (amiss) throw new CniError('check-failed', `${wish}: ${amiss}`);
    },
    sweep(network, live) {
      sweepOwned(nfnl(), { sets: rules.sets, network, live: () => new Set(live().map(ownerOf)) });
    },
  };
}

/** What is keyed by an address is another pod's only if two networks give out the same. */
const takenBySomebody = (_: Attachment, { element, by }: Taken): CniError =>
  new CniError(
    'address-not-available',
    `${formatElement(element)} is there already, for ${by.comment ?? 'nobody'}`,
    'the ranges of two networks overlap: give each pod an address of its own',
  );
