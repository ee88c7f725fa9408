/**
 * Carries out steps. A few are one send, answered before it returns. Thousands go in batches, each on libuv's
 * thread pool while the next is encoded: the kernel compares a new route with all others of its device, so that
 * the later ones of thousands take 0.15 ms each, and a pod must not wait for that.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { add, type Route, remove } from '../../kernel/route.ts';
import { ensureRequest, removeRequest, scaffoldOf } from './entry.ts';
import type { Step } from './plan.ts';

/** Requests that are sent from the main thread: 32 peers' worth, at most 3 ms of kernel work. */
const AT_ONCE = 96;
/**
 * Requests of one batch on the thread pool. Pods wait while one is encoded and while its answers are read; and for
 * each, a busy machine takes its time to wake either side.
 */
const BATCH = 384;

/** A step that the kernel did not do. */
export interface Refused {
  readonly step: Step;
  readonly refusal: KernelError;
}

export interface Sockets {
  readonly rtnl: Rtnl;
  /** A socket for this alone, so that requests may run on the thread pool; undefined: there is none. */
  readonly bulk: Rtnl | undefined;
}

/** The entry's link is gone: all further entries would fail in the same way. */
export const isLinkGone = ({ step, refusal }: Refused): boolean =>
  step.verb !== 'remove' && failedWith(refusal, 'ENODEV');

/**
 * Returns the steps that the kernel refused. Stops at the first step whose link is gone. `onDone` is called for each
 * step that was carried out, before any result of a later batch.
 */
export async function applySteps(
  { rtnl, bulk }: Sockets,
  steps: Iterable<Step>,
  onDone: (step: Step) => void,
): Promise<readonly Refused[]> {
  const refused: Refused[] = [];
  const settle = (batch: Batch, refusals: readonly (KernelError | undefined)[]): void => {
    batch.steps.forEach((step, i) => {
      const refusal = refusals[batch.scaffolds + i];
      const settled = step.verb === 'remove' && failedWith(refusal, 'ENOENT', 'ESRCH', 'ENODEV');
      if (!refusal || settled) onDone(step);
      else refused.push({ step, refusal });
    });
  };
  const source = steps[Symbol.iterator]();
  const first = take(source, AT_ONCE);
  const few = batchOf(first);
  if (first.length) settle(few, rtnl.attempt(few.requests));
  if (first.length < AT_ONCE || refused.some(isLinkGone)) return refused;
  await turn();
  const batches: Batch[] = [];
  const requests = encoded(source, batches);
  if (bulk) {
    for await (const refusals of bulk.attemptInTurn(requests)) {
      settle(batches.shift() ?? none, refusals);
      if (refused.some(isLinkGone)) break;
    }
    return refused;
  }
  for (const batch of requests) {
    settle(batches.shift() ?? none, rtnl.attempt(batch));
    if (refused.some(isLinkGone)) break;
    await turn();
  }
  return refused;
}

/** Steps with their requests, around which stand routes that are needed for as long as they are carried out. */
interface Batch {
  readonly steps: readonly Step[];
  /** How many requests come before the steps' own, one each, in order. */
  readonly scaffolds: number;
  readonly requests: readonly NetlinkRequest[];
}

const none: Batch = { steps: [], scaffolds: 0, requests: [] };

function batchOf(steps: readonly Step[]): Batch {
  const scaffolds: Route[] = steps.flatMap(({ verb, entry, over }) =>
    verb === 'remove' ? [] : (scaffoldOf(entry, over) ?? []),
  );
  const requests = [...scaffolds.map(add), ...steps.map(requestOf), ...scaffolds.map(remove)];
  return { steps, scaffolds: scaffolds.length, requests };
}

function* encoded(source: Iterator<Step>, batches: Batch[]): Generator<readonly NetlinkRequest[]> {
  for (let steps = take(source, BATCH); steps.length; steps = take(source, BATCH)) {
    const batch = batchOf(steps);
    batches.push(batch);
    yield batch.requests;
  }
}

function take(source: Iterator<Step>, most: number): Step[] {
  const taken: Step[] = [];
  for (let next = source.next(); !next.done; next = source.next()) {
    taken.push(next.value);
    if (taken.length === most) break;
  }
  return taken;
}

const requestOf = ({ verb, entry, over }: Step): NetlinkRequest =>
  verb === 'remove' ? removeRequest(entry) : ensureRequest(entry, over);
