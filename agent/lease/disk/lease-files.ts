/** Writes the lease to disk as it changes: see `saved.ts` for what goes where. */
import type { Log } from '../../../log/log.ts';
import type { Clock } from '../clock.ts';
import type { LeaseHolder } from '../holder.ts';
import type { Lease, Peers } from '../lease.ts';
import { type LeaseFile, readLeaseFile, writeLeaseFile, writeSaved } from './saved.ts';

/** Pause before a change goes to disk: nodes join in crowds, and a crowd is one write. */
const pauseMs = 1000;
/** The deadline moves with every renewal; the disk need not follow before it has moved this far. */
const deadlineGrainMs = 600_000;

export interface LeaseFilesOptions {
  readonly runDir: string;
  readonly stateDir: string;
  readonly boot: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class LeaseFiles {
  readonly #options: LeaseFilesOptions;
  #timer: NodeJS.Timeout | undefined;
  #due: (() => void) | undefined;
  #published: string | undefined;
  #saved: { grain: number; leases: Peers['leases']; lease: Lease } | undefined;

  constructor(options: LeaseFilesOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#flush(), { once: true });
  }

  /** Whether whoever makes pods is told that this node has left: by us, or by hand. */
  get renounced(): boolean {
    const { runDir, boot } = this.#options;
    return readLeaseFile(runDir, boot)?.phase === 'left';
  }

  /** Something changed: whoever makes pods is told now, the rest is written soon. */
  touch(holder: LeaseHolder): void {
    if (this.#options.signal.aborted) return;
    this.#publish(holder);
    if (this.#due) return;
    this.#due = () => this.#save(holder);
    this.#timer = setTimeout(() => this.#flush(), pauseMs);
  }

  /** Writes all of it now. A disk that refuses is logged: the lease is held all the same. */
  save(holder: LeaseHolder): void {
    this.#publish(holder);
    this.#save(holder);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    const due = this.#due;
    this.#due = undefined;
    due?.();
  }

  /** What whoever makes pods goes by; written where it differs from what was written last. */
  #publish({ status, lease }: LeaseHolder): void {
    const { runDir, boot } = this.#options;
    const { phase, deadlineMs, reason = null } = status;
    const file: LeaseFile = { boot, key: lease.key, phase, deadlineMs, reason };
    const content = JSON.stringify(file);
    if (content === this.#published) return;
    this.#attempt(() => {
      writeLeaseFile(runDir, file);
      this.#published = content;
    });
  }

  /** What another life of this node comes up with; written where it differs from what is there. */
  #save(holder: LeaseHolder): void {
    const { stateDir, boot, clock } = this.#options;
    const { status, lease, cluster } = holder;
    const { deadlineMs } = status;
    // It was told to leave since this was asked for, and hears of that with what is to be kept next.
    if (status.phase !== 'left' && this.renounced) return;
    // Leases that have not changed are the same objects (peer-table.ts), and there may be thousands.
    const { leases } = holder.peers;
    const grain = Math.floor(deadlineMs / deadlineGrainMs);
    const saved = this.#saved;
    if (saved?.grain === grain && saved.leases === leases && saved.lease === lease) return;
    this.#attempt(() => {
      const peers = [...leases.values()];
      writeSaved({ stateDir, state: { lease, cluster, peers, deadlineMs }, boot, clock });
      this.#saved = { grain, leases, lease };
    });
  }

  #attempt(write: () => void): void {
    const { runDir, stateDir, log } = this.#options;
    try {
      write();
    } catch (error) {
      log.error('lease.saveFailed', { err: error, runDir, stateDir });
    }
  }
}
