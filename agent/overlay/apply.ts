/**
 * Carries out a plan in slices, so that thousands of peers never keep a pod waiting: between two slices the
 * event loop turns.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureRequest, removeRequest } from './entry.ts';
import type { Plan } from './plan.ts';

/** Requests in one slice: 32 peers' worth, about 3 ms of kernel work. */
const SLICE = 96;

export interface Applied {
  /** What was carried out, in words. */
  readonly done: readonly string[];
  /** The kernel's refusals by entry id. */
  readonly failures: ReadonlyMap<string, KernelError>;
}

interface Step {
  readonly id: string;
  readonly words: string;
  readonly request: NetlinkRequest;
  /** Refusals that mean that nothing is left to do. */
  readonly settledBy: readonly string[];
}

export async function applyPlan(rtnl: Rtnl, plan: Plan): Promise<Applied> {
  const failures = new Map<string, KernelError>();
  const done: string[] = [];
  const steps = stepsOf(plan);
  for (let start = 0; start < steps.length; start += SLICE) {
    if (start > 0) await turn();
    const slice = steps.slice(start, start + SLICE);
    const refusals = rtnl.attempt(slice.map((step) => step.request));
    slice.forEach((step, i) => {
      const refusal = refusals[i];
      if (!refusal || failedWith(refusal, ...step.settledBy)) done.push(step.words);
      else failures.set(step.id, refusal);
    });
  }
  return { done, failures };
}

function stepsOf(plan: Plan): Step[] {
  const ensure = plan.ensure.map(
    ({ id, entry, over }): Step => ({
      id,
      words: `${over ? 'change' : 'add'} ${id}`,
      request: ensureRequest(entry, over),
      settledBy: [],
    }),
  );
  const remove = plan.remove.map(
    ({ id, entry }): Step => ({
      id,
      words: `remove ${id}`,
      request: removeRequest(entry),
      settledBy: ['ENOENT', 'ESRCH', 'ENODEV'],
    }),
  );
  return [...ensure, ...remove];
}
