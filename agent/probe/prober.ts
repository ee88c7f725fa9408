/**
 * Asks each target at a steady, bounded rate whether packets reach it and come back, and answers those who ask
 * us. One UDP socket per path, bound to this node's own address on that path, so that question and answer take
 * the way that pods' packets take.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { formatIp, type Ip } from '../../inet/ip.ts';
import { bindUdp } from '../../kernel/udp.ts';
import { decodeProbe, encodeProbe } from './message.ts';
import { afterProbe, type ProbeTiming, type Reachability, unknownReachability } from './threshold.ts';

export interface ProbeTarget {
  readonly key: string;
  readonly address: Ip;
}

export interface ProbeState extends Reachability {
  /** Round trip of the last answered probe. */
  readonly rttMs: number | undefined;
}

export interface ProberOptions {
  /** This node's address on the path. */
  readonly local: Ip;
  /** UDP port, the same on every node. */
  readonly port: number;
  /** Marks every packet (SO_MARK), so that policy routing can lead it; undefined: none. */
  readonly mark: number | undefined;
  readonly timing: ProbeTiming;
  /** In a large cluster the period grows so that no more than this many probes leave in a second. */
  readonly mostPerSecond: number;
  /** Called when a target's `reachable` changes, and when it is known for the first time. */
  readonly onChange: (key: string, state: ProbeState) => void;
  readonly signal: AbortSignal;
}

interface Asked {
  readonly key: string;
  readonly sentMs: number;
  readonly timer: NodeJS.Timeout;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #socket: Socket;
  readonly #asked = new Map<string, Asked>();
  readonly #states = new Map<string, ProbeState>();
  #targets: readonly ProbeTarget[] = [];
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: ProberOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    // An unreachable target or an address that is away for a moment is what probes are for: it shows as silence.
    socket.on('error', () => {});
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  /** Binds the socket. Throws KernelError as `bindUdp` does. */
  static open(options: ProberOptions): Prober {
    const socket = createSocket({ type: options.local.family === 'ipv4' ? 'udp4' : 'udp6' });
    socket.bind({ fd: bindUdp(options), exclusive: true });
    return new Prober(options, socket);
  }

  /** Whom to ask from now on; what is known of those that stay is kept. */
  setTargets(targets: readonly ProbeTarget[]): void {
    const keys = new Set(targets.map((target) => target.key));
    for (const key of this.#states.keys()) if (!keys.has(key)) this.#states.delete(key);
    this.#targets = targets;
    this.#arm();
  }

  stateOf(key: string): ProbeState {
    return this.#states.get(key) ?? { ...unknownReachability, rttMs: undefined };
  }

  /** Asks one target now, outside its turn. */
  ask(target: ProbeTarget): void {
    const token = randomBytes(8).toString('hex');
    const { timeoutSeconds } = this.#options.timing;
    const timer = setTimeout(() => this.#settle(token, false), timeoutSeconds * 1000);
    this.#asked.set(token, { key: target.key, sentMs: performance.now(), timer });
    this.#send(encodeProbe({ kind: 'ask', token }), formatIp(target.address), this.#options.port);
  }

  /** The targets take turns, spread evenly over the period. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#targets.length === 0 || this.#options.signal.aborted) return;
    const { timing, mostPerSecond } = this.#options;
    const perSecond = Math.min(this.#targets.length / timing.periodSeconds, mostPerSecond);
    this.#timer = setTimeout(() => {
      const target = this.#targets[this.#next++ % this.#targets.length];
      if (target) this.ask(target);
      this.#arm();
    }, 1000 / perSecond);
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    const probe = decodeProbe(bytes);
    if (probe?.kind === 'ask') {
      this.#send(encodeProbe({ kind: 'answer', token: probe.token }), from.address, from.port);
    } else if (probe) {
      this.#settle(probe.token, true);
    }
  }

  #send(bytes: Buffer, address: string, port: number): void {
    if (this.#options.signal.aborted) return;
    // A send that fails (no route, no buffer) is a probe without an answer.
    this.#socket.send(bytes, port, address, () => {});
  }

  #settle(token: string, ok: boolean): void {
    const asked = this.#asked.get(token);
    if (!asked) return;
    this.#asked.delete(token);
    clearTimeout(asked.timer);
    if (!this.#targets.some((target) => target.key === asked.key)) return;
    const before = this.stateOf(asked.key);
    const rttMs = ok ? performance.now() - asked.sentMs : before.rttMs;
    const after = { ...afterProbe(before, ok, this.#options.timing), rttMs };
    this.#states.set(asked.key, after);
    if (after.reachable !== before.reachable) this.#options.onChange(asked.key, after);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    for (const { timer } of this.#asked.values()) clearTimeout(timer);
    this.#asked.clear();
    this.#socket.close();
  }
}
