/** Work that can be interrupted wherever it yields; what it returns is its result. */
export type Steps<T> = Generator<void, T>;

/** Runs it to its end without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
