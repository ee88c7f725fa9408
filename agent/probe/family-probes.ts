/** The probes of all families, and what they say in the log. */
import { type Family, formatIp, type Ip } from '../../inet/ip.ts';
import type { Log } from '../../log/log.ts';
import type { Peer } from '../overlay/peer.ts';
import type { OverlayState } from '../overlay/state.ts';
import { PeerProbes, type PeerState } from './peer-probes.ts';
import type { ProbeTiming } from './threshold.ts';

export interface FamilyProbesOptions {
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** As of now; undefined: nobody is asked. */
  readonly timing: () => ProbeTiming | undefined;
  /** A peer became silent, or answers again. `reason`: so its best way may be another. */
  readonly onChange: (reason: string | undefined) => void;
  readonly signal: AbortSignal;
}

export class FamilyProbes {
  readonly #options: FamilyProbesOptions;
  readonly #families = new Map<Family, PeerProbes>();

  constructor(options: FamilyProbesOptions) {
    this.#options = options;
  }

  /**
   * The peers to ask from now on; after a pass, for the sockets need the device's address.
   *
   * @throws KernelError where a socket cannot be bound
   */
  follow(state: OverlayState): void {
    this.#family(state).follow(state);
  }

  /** Keys of the peers that answer on the direct way in this family. */
  answeringDirect(family: Family): Set<string> {
    return this.#families.get(family)?.answeringDirect() ?? new Set();
  }

  /** The largest packet that reaches a peer, by key, where it is less than pods may send. */
  pathMtuBytes(family: Family): ReadonlyMap<string, number> {
    return this.#families.get(family)?.pathMtuBytes ?? new Map();
  }

  /** Peers that packets of full size do not reach, by name, with what does. */
  narrow(): string[] {
    const narrow = [...this.#families.values()].flatMap((probes) => probes.narrow());
    return narrow.map(({ peer, sizeBytes }) => `${peer.name ?? peer.key} (${sizeBytes} bytes)`);
  }

  /** Underlay addresses of the peers that do not answer through the tunnel. */
  silentEndpoints(): Ip[] {
    return this.#silent().map(({ endpoint }) => endpoint);
  }

  /** Every probe that has a result, of all families. */
  states(): (PeerState & { readonly family: Family })[] {
    return [...this.#families].flatMap(([family, probes]) =>
      probes.states().map((state) => ({ ...state, family })),
    );
  }

  #silent(): Peer[] {
    return [...this.#families.values()].flatMap((probes) => probes.silent());
  }

  /** The peers that do not answer through the tunnel, by name and endpoint. */
  silent(): string[] {
    return this.#silent().map(({ name, key, endpoint }) => `${name ?? key} (${formatIp(endpoint)})`);
  }

  #family(state: OverlayState): PeerProbes {
    const { family } = state.network;
    const { timing, log, onChange, signal } = this.#options;
    const probes =
      this.#families.get(family) ??
      new PeerProbes({
        timing,
        onChange: ({ peer, path, state: probed }) => {
          const fields = { peer: peer.name ?? peer.key, endpoint: formatIp(peer.endpoint), path, family };
          if (probed.reachable) log.info('peer.reachable', { ...fields, rttMs: probed.rttMs });
          else log.warn('peer.unreachable', fields);
          onChange(path === 'direct' ? 'direct way' : undefined);
        },
        onPathMtu: ({ peer, sizeBytes }) => {
          const fields = { peer: peer.name ?? peer.key, endpoint: formatIp(peer.endpoint), family };
          if (sizeBytes === undefined) log.info('peer.pathMtuRestored', fields);
          else log.warn('peer.pathMtuReduced', { ...fields, mtuBytes: sizeBytes });
          onChange('path MTU');
        },
        signal,
      });
    this.#families.set(family, probes);
    return probes;
  }
}
