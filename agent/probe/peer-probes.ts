/**
 * The probes of one family: each weft peer is asked through the tunnel whether it answers, and how large a packet
 * may be that reaches it; in backend `auto` each that shares our link is asked over the direct way too.
 *
 * Both ends are the `.0` addresses of the nodes' subnets, which only the overlay carries: what answers there,
 * pods reach as well.
 */
import { firstIp, formatInterfaceAddress } from '../../inet/cidr.ts';
import { type Family, sameIp } from '../../inet/ip.ts';
import { passMark } from '../firewall/mark.ts';
import { DIRECT_PROBE_MARK } from '../overlay/direct-probing.ts';
import { podMtuBytes } from '../overlay/mtu.ts';
import type { Peer } from '../overlay/peer.ts';
import { type OverlayState, sourceOf } from '../overlay/state.ts';
import { isOnLink } from '../overlay/ways.ts';
import { isUnchanged } from '../reconcile/generation.ts';
import { PathMtu } from './path-mtu.ts';
import { DIRECT_PORT, TUNNEL_PORT } from './ports.ts';
import { Prober, type ProbeState } from './prober.ts';
import { SizeProbe } from './size-probe.ts';
import type { ProbeTiming } from './threshold.ts';

/** UDP ports, the same on every node: one socket per path. */
/** Per path, so that an idle agent stays idle in the largest cluster. */
const MOST_PER_SECOND = 10;
/** Sizes are asked for so much more rarely than answers. */
const PERIODS_A_ROUND = 12;
/** What every link has to take (RFC 791, RFC 8200 section 5). */
const LEAST_MTU_BYTES: Readonly<Record<Family, number>> = { ipv4: 576, ipv6: 1280 };

export type ProbedPath = 'tunnel' | 'direct';

export interface PeerState {
  /** The peer's key. */
  readonly peer: string;
  readonly path: ProbedPath;
  readonly reachable: boolean;
  readonly rttMs?: number;
  /** Since a probe of the peer's own last arrived. */
  readonly heardSecondsAgo?: number;
}

export interface PeerProbesOptions {
  /** As of now; undefined: nobody is asked. */
  readonly timing: () => ProbeTiming | undefined;
  /** A peer became reachable on a path, or ceased to be. */
  readonly onChange: (change: { peer: Peer; path: ProbedPath; state: ProbeState }) => void;
  /** The path to a peer became narrow (bytes), or wide enough again (undefined). */
  readonly onPathMtu: (change: { peer: Peer; sizeBytes: number | undefined }) => void;
  readonly signal: AbortSignal;
}

export class PeerProbes {
  readonly #options: PeerProbesOptions;
  readonly #probers = new Map<ProbedPath, Prober>();
  readonly #pathMtu: PathMtu;
  readonly #sizeProbe: SizeProbe;
  #peers: ReadonlyMap<string, Peer> = new Map();
  #state: OverlayState | undefined;

  constructor(options: PeerProbesOptions) {
    this.#options = options;
    const { onPathMtu, signal } = options;
    this.#sizeProbe = new SizeProbe(signal);
    this.#pathMtu = new PathMtu({
      ask: (key, sizeBytes) => this.#askSize(key, sizeBytes),
      roundMs: () => (this.#options.timing()?.periodSeconds ?? 0) * 1000 * PERIODS_A_ROUND,
      answers: (key) => this.stateOf(key, 'tunnel')?.reachable === true,
      onChange: (key, sizeBytes) => {
        const peer = this.#peers.get(key);
        if (peer) onPathMtu({ peer, sizeBytes });
      },
      signal,
    });
  }

  /** Whom to ask from now on. Call it after a pass: the sockets need the device's address. */
  follow(state: OverlayState): void {
    const before = this.#state;
    this.#state = state;
    // In backend `direct` there is no tunnel to probe, and no address that only the overlay carries.
    if (state.backend.type === 'direct' || !this.#options.timing()) {
      this.#rest();
      return;
    }
    if (before && sameScope(before, state) && this.#peers.size) return;
    // A flannel node answers no probes: a name is what only weft's nodes tell.
    const peers = state.peers.filter((peer) => peer.name !== undefined && peer.vtepMac !== undefined);
    this.#peers = new Map(peers.map((peer) => [peer.key, peer]));
    const target = (peer: Peer) => ({ key: peer.key, address: firstIp(peer.subnet) });
    this.#prober('tunnel', state).setTargets(peers.map(target));
    this.#pathMtu.follow({
      keys: peers.map(({ key }) => key),
      full: podMtuBytes(state),
      least: LEAST_MTU_BYTES[state.network.family],
    });
    const near = state.backend.type === 'auto' ? peers.filter((peer) => isOnLink(state, peer)) : [];
    if (near.length) this.#prober('direct', state).setTargets(near.map(target));
    else this.#probers.get('direct')?.setTargets([]);
  }

  /** The peers that answer on the direct way. */
  answeringDirect(): Set<string> {
    return new Set([...this.#peers.keys()].filter((key) => this.stateOf(key, 'direct')?.reachable === true));
  }

  /** The largest packet that reaches a peer through the tunnel, by key, where it is less than pods may send. */
  get pathMtuBytes(): ReadonlyMap<string, number> {
    return this.#pathMtu.narrow;
  }

  /** Peers whose path is narrow. */
  narrow(): { readonly peer: Peer; readonly sizeBytes: number }[] {
    return [...this.#pathMtu.narrow].flatMap(([key, sizeBytes]) => {
      const peer = this.#peers.get(key);
      return peer ? { peer, sizeBytes } : [];
    });
  }

  /** The peers that do not answer through the tunnel. */
  silent(): Peer[] {
    return [...this.#peers.values()].filter((peer) => this.stateOf(peer.key, 'tunnel')?.reachable === false);
  }

  /** Each peer's result on each path, where there is one. */
  states(): PeerState[] {
    return [...this.#probers].flatMap(([path, prober]) =>
      [...this.#peers.values()].flatMap(({ key, subnet }) => {
        const { reachable, rttMs } = prober.stateOf(key);
        if (reachable === undefined) return [];
        const heardSecondsAgo = prober.heardSecondsAgo(firstIp(subnet));
        return [{ peer: key, path, reachable, ...given({ rttMs, heardSecondsAgo }) }];
      }),
    );
  }

  stateOf(key: string, path: ProbedPath): ProbeState | undefined {
    return this.#probers.get(path)?.stateOf(key);
  }

  #rest(): void {
    this.#peers = new Map();
    for (const prober of this.#probers.values()) prober.setTargets([]);
    this.#pathMtu.follow({ keys: [], full: 0, least: 0 });
  }

  #askSize(key: string, sizeBytes: number): Promise<boolean> {
    const [peer, prober, timing] = [
      this.#peers.get(key),
      this.#probers.get('tunnel'),
      this.#options.timing(),
    ];
    const state = this.#state;
    if (!peer || !prober || !timing || !state) return Promise.resolve(false);
    return new Promise((resolve) => {
      const token = prober.expect(timing.timeoutSeconds * 1000, resolve);
      try {
        this.#sizeProbe.send(state, peer, { token, port: TUNNEL_PORT, sizeBytes });
      } catch {
        // Refused by our own link, or no way there: not answered.
        resolve(false);
      }
    });
  }

  #prober(path: ProbedPath, state: OverlayState): Prober {
    const known = this.#probers.get(path);
    if (known) return known;
    const { timing, onChange, signal } = this.#options;
    const prober = Prober.open({
      local: firstIp(state.subnet),
      port: path === 'tunnel' ? TUNNEL_PORT : DIRECT_PORT,
      mark: path === 'tunnel' ? passMark : DIRECT_PROBE_MARK,
      timing,
      mostPerSecond: MOST_PER_SECOND,
      onChange: (key, probed) => {
        const peer = this.#peers.get(key);
        if (!peer) return;
        if (path === 'tunnel') this.#pathMtu.suspect(key);
        onChange({ peer, path, state: probed });
      },
      signal,
    });
    this.#probers.set(path, prober);
    return prober;
  }
}

/** Whether the same peers are to be asked in the same way. */
const sameScope = (a: OverlayState, b: OverlayState): boolean =>
  isUnchanged(a.peers, b.peers) &&
  a.backend.type === b.backend.type &&
  podMtuBytes(a) === podMtuBytes(b) &&
  formatInterfaceAddress(a.underlay.address) === formatInterfaceAddress(b.underlay.address) &&
  sameIp(sourceOf(a.underlay), sourceOf(b.underlay));

/** Those of the values that are known. */
const given = (values: { rttMs: number | undefined; heardSecondsAgo: number | undefined }) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
