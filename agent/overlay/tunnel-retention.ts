/**
 * How long a tunnel outlives the configuration that had it. Peers send through it until they have heard that this
 * node takes packets straight; and as long as they do, it answers them the same way.
 */
import type { BackendType } from '../config/config.ts';

/** What peers need to hear of a change in the store, and to act on it: plenty. */
const HEARD_MS = 5000;

export class TunnelFarewell {
  readonly #onOver: () => void;
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  /** `onOver`: the tunnel may go. */
  constructor(options: { readonly onOver: () => void; readonly signal: AbortSignal }) {
    this.#onOver = options.onOver;
    this.#signal = options.signal;
    options.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  /** Whether a tunnel that is there has to stay although the backend has none. */
  stays(type: BackendType): boolean {
    return type === 'direct' && !this.#over;
  }

  /** The store has what this node is reached by; `announced`: flannel's name for it. */
  told(announced: string | undefined): void {
    clearTimeout(this.#timer);
    if (announced !== 'host-gw') {
      this.#over = false;
    } else if (!this.#over && !this.#signal.aborted) {
      this.#timer = setTimeout(() => {
        this.#over = true;
        this.#onOver();
      }, HEARD_MS);
    }
  }
}
