/** Publishes this node's attributes (underlay address, backend, MACs) to peers, through its lease record. */
import type { Log } from '../log/log.ts';
import { attributesOf } from './attributes.ts';
import type { RunningConfig } from './config/running.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { TunnelRetention } from './overlay/tunnel-retention.ts';
import type { HostUnderlay } from './underlay/host-underlay.ts';

export interface AnnouncementOptions {
  readonly running: RunningConfig;
  readonly identity: Identity;
  readonly underlay: HostUnderlay;
  readonly holder: LeaseHolder;
  readonly retention: TunnelRetention;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class Announcement {
  readonly #options: AnnouncementOptions;
  #afterPass = false;
  #publications = 0;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** Not awaited: an unreachable store must not delay this node's own kernel state. */
  publish(): void {
    const { running, identity, underlay, holder, retention, log, signal } = this.#options;
    const { publicIps } = holder.lease;
    const announced = underlay.current ?? { sources: [], publicIps };
    const attributes = attributesOf(running.current, identity, announced);
    const publication = ++this.#publications;
    holder
      .updateAttributes(attributes, signal)
      .then(() => publication === this.#publications && retention.announced(attributes.backend.type))
      .catch((error: unknown) => signal.aborted || log.error('lease.updateFailed', { err: error }));
  }

  /** After a reload: peers may send through a tunnel as soon as it is announced, so it must exist first. */
  publishAfterPass(): void {
    this.#afterPass = true;
  }

  passed(): void {
    if (this.#afterPass) this.publish();
    this.#afterPass = false;
  }
}
