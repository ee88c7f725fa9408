/**
 * Work on thousands of things in slices: between two of them the event loop turns, so that a pod that is being
 * made never waits for the whole.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Steps } from '../kernel/steps.ts';

/** Of the main thread, before others have their turn. */
const SLICE_MS = 2;

/** Runs it to its end in slices. What fits into one is done before this returns. */
export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  let begunMs = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - begunMs < SLICE_MS) continue;
    await turn();
    begunMs = performance.now();
  }
}
