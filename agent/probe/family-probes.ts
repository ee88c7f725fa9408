/** The probes of all families, and what they say in the log. */
import { type Family, formatIp } from '../../inet/ip.ts';
import type { OverlayState } from '../overlay/overlay.ts';
import { PeerProbes } from './peer-probes.ts';
import { defaultProbeTiming } from './threshold.ts';

export interface FamilyProbesOptions {
  readonly log: {
    info(fields: object, event: string): void;
    warn(fields: object, event: string): void;
  };
  /** A peer's best way may be another now. */
  readonly onChange: (reason: string) => void;
  readonly signal: AbortSignal;
}

export class FamilyProbes {
  readonly #options: FamilyProbesOptions;
  readonly #families = new Map<Family, PeerProbes>();

  constructor(options: FamilyProbesOptions) {
    this.#options = options;
  }

  /** Whom to ask from now on; after a pass, for the sockets need the devices' addresses. */
  follow(states: readonly OverlayState[]): void {
    for (const state of states) this.#family(state).follow(state);
  }

  /** Keys of the peers that answer on the direct way in this family. */
  answeringDirect(family: Family): Set<string> {
    return this.#families.get(family)?.answeringDirect() ?? new Set();
  }

  #family(state: OverlayState): PeerProbes {
    const { family } = state.network;
    const { log, onChange, signal } = this.#options;
    const probes =
      this.#families.get(family) ??
      new PeerProbes({
        timing: defaultProbeTiming,
        onChange: ({ peer, path, state: probed }) => {
          const fields = { peer: peer.name ?? peer.key, endpoint: formatIp(peer.endpoint), path, family };
          if (probed.reachable) log.info({ ...fields, rttMs: probed.rttMs }, 'peer.answers');
          else log.warn(fields, 'peer.silent');
          if (path === 'direct') onChange('direct way');
        },
        signal,
      });
    this.#families.set(family, probes);
    return probes;
  }
}
