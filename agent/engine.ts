/**
 * What the agent asks of its engine; imported first, for some of it is read when it is first used.
 *
 * Node.js is tuned for servers that have memory to spare: the young generation grows to 16 MB and more, and the
 * old one is let grow before it is looked through. An agent is on every host, and idle nearly always.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Besides Node.js's own four threads: one parked in each poll for notifications, and those of link removals. */
process.env.UV_THREADPOOL_SIZE ??= '12';

setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Calls after which there is enough to tidy up. */
const CALLS = 50;
/** Nobody waits: no call for this long. */
const QUIET_MS = 1000;

/** Gives back what calls have left behind, when no call is waiting for it (some 10 ms). */
export class Tidying {
  #calls = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  /** A call has been answered. */
  called(): void {
    if (++this.#calls < CALLS) return;
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#tidy(), QUIET_MS);
  }

  #tidy(): void {
    this.#timer = undefined;
    this.#calls = 0;
    collect();
  }
}
