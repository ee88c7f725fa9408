/** Runs all parts of a pass: one that throws is reported and tried again later, and the others run. */
import { reasonOf } from '../../problem/reason.ts';
import type { Part, PartOutcome, PartPlan, Pass } from './part.ts';
import { RetryTable } from './retry-table.ts';

/** What became of one part in a pass. */
export interface PartResult extends PartOutcome {
  readonly part: string;
  /** What the part threw: nothing of it is certain. */
  readonly error?: unknown;
}

export class Parts<State> {
  readonly #parts: readonly Part<State>[];
  readonly #retries: RetryTable<string>;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(parts: readonly Part<State>[], now?: () => number) {
    this.#parts = parts;
    this.#retries = new RetryTable(now);
  }

  /** In their order, one after the other. Never throws. */
  async reconcile(state: State, pass: Omit<Pass, 'failed'>): Promise<PartResult[]> {
    const results: PartResult[] = [];
    for (const part of this.#parts) {
      const failed = results.flatMap((result) => (result.error === undefined ? [] : [result.part]));
      results.push(await this.#run(part, state, { ...pass, failed }));
    }
    return results;
  }

  async #run(part: Part<State>, state: State, pass: Pass): Promise<PartResult> {
    const { name } = part;
    // After a failure the part relies on nothing that it knew.
    const doubted = this.#retries.isFailed(name) ? { reread: true, base: true } : {};
    try {
      const outcome = await part.reconcile(state, { ...pass, ...doubted });
      this.#retries.settled(name);
      return { ...outcome, part: name };
    } catch (error) {
      this.#retries.failed(name, { item: name, error });
      const retryInMs = this.#retries.waitOf(name);
      return { part: name, done: [], problems: [problemOf(name, error)], retryInMs, error };
    }
  }
}

/** Pending changes of all parts. One that throws is a problem, and the others are planned. */
export async function planParts<State>(parts: readonly Part<State>[], state: State): Promise<PartPlan> {
  const plans: PartPlan[] = [];
  for (const part of parts) {
    try {
      plans.push(await part.plan(state));
    } catch (error) {
      plans.push({ steps: [], problems: [problemOf(part.name, error)] });
    }
  }
  return {
    steps: plans.flatMap(({ steps }) => steps),
    problems: plans.flatMap(({ problems }) => problems),
  };
}

const problemOf = (part: string, error: unknown): string => `${part}: ${reasonOf(error)}`;
