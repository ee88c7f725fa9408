/**
 * How long a tunnel is kept after the configuration changed to `direct`. Peers send through it until they have read
 * that this node is reached directly; until then it answers them through the tunnel too.
 */
import type { BackendType } from '../config/config.ts';

/** More than peers need to read a change from the store and to apply it. */
const GRACE_MS = 5000;

export class TunnelRetention {
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

  /** The store has what this node is reached by; `type`: the backend type that it announces, by flannel's name. */
  announced(type: string | undefined): void {
    clearTimeout(this.#timer);
    if (type !== 'host-gw') {
      this.#over = false;
    } else if (!this.#over && !this.#signal.aborted) {
      this.#timer = setTimeout(() => {
        this.#over = true;
        this.#onOver();
      }, GRACE_MS);
    }
  }
}
