/** What peers hear of this node: they are told whenever something of it may be another. */
import type { Log } from '../log/log.ts';
import { attributesOf } from './attributes.ts';
import type { RunningConfig } from './config/running.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { TunnelFarewell } from './overlay/farewell.ts';
import type { HostUnderlay } from './underlay/host-underlay.ts';

export interface AnnouncementOptions {
  readonly running: RunningConfig;
  readonly identity: Identity;
  readonly underlay: HostUnderlay;
  readonly holder: LeaseHolder;
  readonly farewell: TunnelFarewell;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class Announcement {
  readonly #options: AnnouncementOptions;
  #afterPass = false;
  #tellings = 0;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** Not awaited: a store that is away must not keep this node's own kernel state waiting. */
  tell(): void {
    const { running, identity, underlay, holder, farewell, log, signal } = this.#options;
    const { publicIps } = holder.lease;
    const announced = underlay.current ?? { sources: [], publicIps };
    const attributes = attributesOf(running.current, identity, announced);
    const telling = ++this.#tellings;
    holder
      .updateAttributes(attributes, signal)
      .then(() => telling === this.#tellings && farewell.told(attributes.backend.type))
      .catch((error: unknown) => signal.aborted || log.error('lease.updateFailed', { err: error }));
  }

  /** What was configured anew is told once it is done: who hears of a tunnel may send through it. */
  tellAfterPass(): void {
    this.#afterPass = true;
  }

  passed(): void {
    if (this.#afterPass) this.tell();
    this.#afterPass = false;
  }
}
