/**
 * Settings of Node.js and V8 for the agent. Imported first, because some are read at first use.
 *
 * Node.js is tuned for servers that have memory to spare: the young generation grows to 16 MB and more, and the
 * old one grows long before it is collected. An agent runs on every host and is idle most of the time.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimHeap } from '../kernel/ffi.ts';

/** Besides Node.js's own four threads: one in each poll for notifications and callers, those of link removals. */
process.env.UV_THREADPOOL_SIZE ??= '13';

/**
 * To be called when a start is over: V8 takes compiled code, Node.js's own as well, only under the flags under which
 * it was made; and a start with thousands of peers fills the young generation, which then is not needed any more.
 */
export function settleEngine(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  // As if memory were short: the young generation is returned too. Node.js 20 has no such call.
  if (Number.parseInt(process.versions.node, 10) < 22) collect();
  else collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

let collector: ((options?: object) => void) | undefined;

function collect(options?: object): void {
  if (!collector) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as (options?: object) => void;
    setFlagsFromString('--no-expose-gc');
  }
  if (options) collector(options);
  else collector();
}

/** Calls after which there is enough to tidy up. */
const CALLS = 50;
/** The agent is idle: there was no call for this long. */
const QUIET_MS = 1000;
/** V8 takes a heap apart in steps: pages that one collection finds empty are given back by those that follow. */
const COLLECTIONS = 3;

/** Gives back what the start and then calls have left behind, when no call is waiting for it (some 10 ms each time). */
export class Tidying {
  #calls = 0;
  #collectionsLeft = COLLECTIONS;
  #timer: NodeJS.Timeout | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
    this.#later();
  }

  /** A call has been answered. */
  called(): void {
    if (++this.#calls >= CALLS) this.#collectionsLeft = COLLECTIONS;
    if (this.#collectionsLeft > 0) this.#later();
  }

  #later(): void {
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#tidy(), QUIET_MS);
  }

  #tidy(): void {
    this.#timer = undefined;
    this.#calls = 0;
    collect();
    if (--this.#collectionsLeft > 0) this.#later();
    else trimHeap();
  }
}
