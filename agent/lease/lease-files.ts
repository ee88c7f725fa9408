/** Writes the lease to disk as it changes: see `saved.ts` for what goes where. */
import type { Clock } from './clock.ts';
import type { LeaseHolder } from './holder.ts';
import type { LeaseLog } from './lease.ts';
import { writeLeaseFile, writeSaved } from './saved.ts';
import { encodeValue } from './value.ts';

/** Pause before a change goes to disk: nodes join in crowds, and a crowd is one write. */
const pauseMs = 200;
/** The deadline moves with every renewal; the disk need not follow before it has moved this far. */
const deadlineGrainMs = 600_000;

export interface LeaseFilesOptions {
  readonly runDir: string;
  readonly stateDir: string;
  readonly boot: string;
  readonly clock: Clock;
  readonly log: LeaseLog;
  readonly signal: AbortSignal;
}

export class LeaseFiles {
  readonly #options: LeaseFilesOptions;
  #timer: NodeJS.Timeout | undefined;
  #saved = '';

  constructor(options: LeaseFilesOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  /** Something changed: it is written soon. */
  touch(holder: () => LeaseHolder): void {
    if (this.#timer !== undefined || this.#options.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.write(holder());
    }, pauseMs);
  }

  /** Writes now. A disk that refuses is logged: the lease is held all the same. */
  write(holder: LeaseHolder): void {
    const { runDir, stateDir, boot, clock, log } = this.#options;
    const { status, lease, cluster } = holder;
    const { phase, deadlineMs, reason = null } = status;
    const peers = [...holder.peers.leases.values()];
    const print = JSON.stringify([
      Math.floor(deadlineMs / deadlineGrainMs),
      [lease, ...peers].map((one) => [one.key, one.nodeName, encodeValue(one)]),
    ]);
    try {
      writeLeaseFile(runDir, { boot, key: lease.key, phase, deadlineMs, reason });
      if (print === this.#saved) return;
      writeSaved({ stateDir, state: { lease, cluster, peers, deadlineMs }, boot, clock });
      this.#saved = print;
    } catch (error) {
      log.error({ err: error, runDir, stateDir }, 'lease.notSaved');
    }
  }
}
