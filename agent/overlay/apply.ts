/**
 * Carries out a plan in slices, so that thousands of peers never keep a pod waiting: between two slices the
 * event loop turns.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { add, type Route, remove } from '../../kernel/route.ts';
import { type Entry, ensureRequest, removeRequest, scaffoldOf } from './entry.ts';
import type { Plan } from './plan.ts';

/** Requests in one slice: 32 peers' worth, about 3 ms of kernel work. */
const SLICE = 96;

export interface Applied {
  /** The kernel's refusals by entry id. */
  readonly failures: ReadonlyMap<string, KernelError>;
}

interface Step {
  readonly id: string;
  readonly entry: Entry;
  readonly verb: 'add' | 'change' | 'remove';
  readonly request: NetlinkRequest;
  /** Stands while it is carried out. */
  readonly scaffold?: Route | undefined;
}

/** `onDone` is called for each step that was carried out, before anything else happens in this process. */
export async function applyPlan(
  rtnl: Rtnl,
  plan: Plan,
  onDone: (step: Pick<Step, 'id' | 'entry' | 'verb'>) => void,
): Promise<Applied> {
  const failures = new Map<string, KernelError>();
  let slice: Step[] = [];
  const carryOut = () => {
    const scaffolds = slice.flatMap((step) => step.scaffold ?? []);
    if (scaffolds.length) rtnl.attempt(scaffolds.map(add));
    const refusals = rtnl.attempt(slice.map((step) => step.request));
    if (scaffolds.length) rtnl.attempt(scaffolds.map(remove));
    slice.forEach((step, i) => {
      const refusal = refusals[i];
      const settled = step.verb === 'remove' && failedWith(refusal, 'ENOENT', 'ESRCH', 'ENODEV');
      if (!refusal || settled) onDone(step);
      else failures.set(step.id, refusal);
    });
    slice = [];
  };
  for (const step of stepsOf(plan)) {
    if (slice.length === SLICE) {
      carryOut();
      await turn();
    }
    slice.push(step);
  }
  if (slice.length) carryOut();
  return { failures };
}

function* stepsOf(plan: Plan): Generator<Step> {
  for (const { id, entry, over } of plan.ensure) {
    const verb = over ? 'change' : 'add';
    yield { id, entry, verb, request: ensureRequest(entry, over), scaffold: scaffoldOf(entry, over) };
  }
  for (const { id, entry } of plan.remove) {
    yield { id, entry, verb: 'remove', request: removeRequest(entry) };
  }
}
