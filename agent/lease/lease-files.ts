/** Writes the lease to disk as it changes: see `saved.ts` for what goes where. */
import type { Clock } from './clock.ts';
import type { LeaseHolder } from './holder.ts';
import type { Lease, LeaseLog, Peers } from './lease.ts';
import { writeLeaseFile, writeSaved } from './saved.ts';

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
  #saved: { grain: number; leases: Peers['leases']; lease: Lease } | undefined;

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
    // Leases that have not changed are the same objects (peer-table.ts), and there may be thousands.
    const { leases } = holder.peers;
    const grain = Math.floor(deadlineMs / deadlineGrainMs);
    const saved = this.#saved;
    try {
      writeLeaseFile(runDir, { boot, key: lease.key, phase, deadlineMs, reason });
      if (saved?.grain === grain && saved.leases === leases && saved.lease === lease) return;
      const peers = [...leases.values()];
      writeSaved({ stateDir, state: { lease, cluster, peers, deadlineMs }, boot, clock });
      this.#saved = { grain, leases, lease };
    } catch (error) {
      log.error({ err: error, runDir, stateDir }, 'lease.notSaved');
    }
  }
}
