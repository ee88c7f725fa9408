/** Writes the lease to disk as it changes: `lease-file.ts` for this boot, `saved.ts` for later ones. */

import type { Clock } from '../../../clock/clock.ts';
import { prepareFile } from '../../../disk/prepare-file.ts';
import { replaceFile } from '../../../disk/replace-file.ts';
import type { Log } from '../../../log/log.ts';
import type { LeaseHolder } from '../holder.ts';
import type { Lease, Peers } from '../lease.ts';
import { type LeaseFile, readLeaseFile, writeLeaseFile } from './lease-file.ts';
import { encodeSaved, savedPath } from './saved.ts';

/** Pause before a change goes to disk: nodes join in crowds, and a crowd is one write. */
const pauseMs = 1000;
/** The deadline moves with every renewal; the saved one follows once it has moved this far. */
const deadlineGrainMs = 600_000;

export interface LeaseFilesOptions {
  readonly runDir: string;
  readonly stateDir: string;
  readonly boot: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

interface Saved {
  readonly grain: number;
  readonly leases: Peers['leases'];
  readonly lease: Lease;
}

export class LeaseFiles {
  readonly #options: LeaseFilesOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Set from the first change until it is saved. */
  #due: LeaseHolder | undefined;
  /** Changed again since the save began. */
  #again = false;
  #published: string | undefined;
  #saved: Saved | undefined;
  #renounced = false;
  #unreadable: string | undefined;
  /** Counts writes of the saved lease: one that was prepared before a later one began is discarded. */
  #generation = 0;

  constructor(options: LeaseFilesOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#flush(), { once: true });
  }

  /**
   * Whether `weftctl node leave`, or this agent, ended the deadline on disk. A file that cannot be read says nothing
   * new, so the last answer stays.
   */
  get renounced(): boolean {
    const { runDir, boot, log } = this.#options;
    const file = readLeaseFile(runDir, boot);
    const reason = file.kind === 'unreadable' ? file.reason : undefined;
    if (reason === undefined) this.#renounced = file.kind === 'read' && file.phase === 'left';
    else if (reason !== this.#unreadable) log.warn('lease.unreadable', { reason });
    this.#unreadable = reason;
    return this.#renounced;
  }

  /** Publishes a change at once, and saves it soon. */
  touch(holder: LeaseHolder): void {
    if (this.#options.signal.aborted) return;
    this.#publish(holder);
    this.#again = this.#due !== undefined;
    if (this.#due) return;
    this.#due = holder;
    this.#timer = setTimeout(() => void this.#saveSoon(holder), pauseMs);
  }

  /** Publishes and saves now: durable when it returns. A disk that refuses is logged; the lease is held all the same. */
  save(holder: LeaseHolder): void {
    this.#publish(holder);
    this.#saveNow(holder);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    const due = this.#due;
    this.#due = undefined;
    if (due) this.#saveNow(due);
  }

  /** What the plugin reads; written where it differs from what was written last. */
  #publish({ status, lease }: LeaseHolder): void {
    const { runDir, boot } = this.#options;
    const { phase, deadlineMs, reason = null } = status;
    const file: LeaseFile = { boot, key: lease.key, phase, deadlineMs, reason };
    const content = JSON.stringify(file);
    if (content === this.#published) return;
    try {
      writeLeaseFile(runDir, file);
      this.#published = content;
    } catch (error) {
      this.#refused(error);
    }
  }

  #saveNow(holder: LeaseHolder): void {
    const next = this.#differing(holder);
    if (!next) return;
    this.#generation++;
    try {
      replaceFile({ path: savedPath(this.#options.stateDir), content: this.#encode(holder) });
      this.#saved = next;
    } catch (error) {
      this.#refused(error);
    }
  }

  /** As `#saveNow`, with the wait for the disk on the thread pool. */
  async #saveSoon(holder: LeaseHolder): Promise<void> {
    this.#again = false;
    try {
      await this.#prepareAndPlace(holder);
    } catch (error) {
      this.#saved = undefined;
      this.#refused(error);
    }
    this.#due = undefined;
    if (this.#again) this.touch(holder);
  }

  async #prepareAndPlace(holder: LeaseHolder): Promise<void> {
    const next = this.#differing(holder);
    if (!next) return;
    const generation = ++this.#generation;
    const path = savedPath(this.#options.stateDir);
    const prepared = await prepareFile({ path, content: this.#encode(holder) });
    // What was saved meanwhile is newer, and so is a renunciation by hand.
    if (generation !== this.#generation || this.#leftByHand(holder)) return prepared.discard();
    this.#saved = next;
    await prepared.place();
  }

  /** What another life of this node starts with; undefined where the file need not change. */
  #differing(holder: LeaseHolder): Saved | undefined {
    const { status, lease } = holder;
    if (this.#leftByHand(holder)) return undefined;
    // Leases that have not changed are the same objects (peer-table.ts), and there may be thousands.
    const { leases } = holder.peers;
    const grain = Math.floor(status.deadlineMs / deadlineGrainMs);
    const saved = this.#saved;
    if (saved?.grain === grain && saved.leases === leases && saved.lease === lease) return undefined;
    return { grain, leases, lease };
  }

  /** The node was told to leave since the save was asked for; the holder learns of it with its next save. */
  #leftByHand({ status }: LeaseHolder): boolean {
    return status.phase !== 'left' && this.renounced;
  }

  #encode({ status, lease, cluster, peers, nodeUid }: LeaseHolder): string {
    const { boot, clock } = this.#options;
    const state = {
      lease,
      cluster,
      peers: [...peers.leases.values()],
      deadlineMs: status.deadlineMs,
      nodeUid,
    };
    return encodeSaved({ state, boot, clock });
  }

  #refused(error: unknown): void {
    const { runDir, stateDir, log } = this.#options;
    log.error('lease.saveFailed', { err: error, runDir, stateDir });
  }
}
