/**
 * The probes of one family: each weft peer is asked through the tunnel, and in backend `auto` each that shares
 * our link is asked over the direct way too.
 *
 * Both ends are the `.0` addresses of the nodes' subnets, which only the overlay carries: what answers there,
 * pods reach as well.
 */
import { firstIp } from '../../inet/cidr.ts';
import { DIRECT_PROBE_MARK } from '../overlay/direct-probing.ts';
import { isOnLink, type OverlayState } from '../overlay/overlay.ts';
import type { Peer } from '../overlay/peer.ts';
import { Prober, type ProbeState } from './prober.ts';
import type { ProbeTiming } from './threshold.ts';

/** UDP ports, the same on every node: one socket per path. */
const TUNNEL_PORT = 8474;
const DIRECT_PORT = 8475;
const MOST_PER_SECOND = 50;

export type ProbedPath = 'tunnel' | 'direct';

export interface PeerProbesOptions {
  readonly timing: ProbeTiming;
  /** A peer became reachable on a path, or ceased to be. */
  readonly onChange: (change: { peer: Peer; path: ProbedPath; state: ProbeState }) => void;
  readonly signal: AbortSignal;
}

export class PeerProbes {
  readonly #options: PeerProbesOptions;
  readonly #probers = new Map<ProbedPath, Prober>();
  #peers = new Map<string, Peer>();

  constructor(options: PeerProbesOptions) {
    this.#options = options;
  }

  /** Whom to ask from now on. Call it after a pass: the sockets need the device's address. */
  follow(state: OverlayState): void {
    // There is no tunnel to probe, and no address that only the overlay carries.
    if (state.backend.type === 'direct') return;
    // A flannel node answers no probes: a name is what only weft's nodes tell.
    const peers = state.peers.filter((peer) => peer.name !== undefined && peer.vtepMac !== undefined);
    this.#peers = new Map(peers.map((peer) => [peer.key, peer]));
    const target = (peer: Peer) => ({ key: peer.key, address: firstIp(peer.subnet) });
    this.#prober('tunnel', state).setTargets(peers.map(target));
    if (state.backend.type !== 'auto') return;
    const near = peers.filter((peer) => isOnLink(state, peer));
    this.#prober('direct', state).setTargets(near.map(target));
  }

  /** The peers that answer on the direct way. */
  answeringDirect(): Set<string> {
    return new Set([...this.#peers.keys()].filter((key) => this.stateOf(key, 'direct')?.reachable === true));
  }

  /** The peers that do not answer through the tunnel. */
  silent(): Peer[] {
    return [...this.#peers.values()].filter((peer) => this.stateOf(peer.key, 'tunnel')?.reachable === false);
  }

  stateOf(key: string, path: ProbedPath): ProbeState | undefined {
    return this.#probers.get(path)?.stateOf(key);
  }

  #prober(path: ProbedPath, state: OverlayState): Prober {
    const known = this.#probers.get(path);
    if (known) return known;
    const { timing, onChange, signal } = this.#options;
    const prober = Prober.open({
      local: firstIp(state.subnet),
      port: path === 'tunnel' ? TUNNEL_PORT : DIRECT_PORT,
      mark: path === 'tunnel' ? undefined : DIRECT_PROBE_MARK,
      timing,
      mostPerSecond: MOST_PER_SECOND,
      onChange: (key, probed) => {
        const peer = this.#peers.get(key);
        if (peer) onChange({ peer, path, state: probed });
      },
      signal,
    });
    this.#probers.set(path, prober);
    return prober;
  }
}
