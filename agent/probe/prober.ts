/**
 * Asks each target at a steady, bounded rate whether packets reach it and come back, and answers those who ask
 * us. One UDP socket per path, bound to this node's own address on that path, so that question and answer take
 * the way that pods' packets take.
 *
 * It runs for ever on every node, so it is made to cost little: questions leave in bursts, one timer a burst, and
 * what is late is found out at the next.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { formatIp, type Ip, ip } from '../../inet/ip.ts';
import { sendTo } from '../../kernel/ffi.ts';
import { bindUdp, socketAddress } from '../../kernel/udp.ts';
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
  /** As of now; undefined: nobody is asked. */
  readonly timing: () => ProbeTiming | undefined;
  /** In a large cluster the period grows so that no more than this many probes leave in a second. */
  readonly mostPerSecond: number;
  /** Called when a target's `reachable` changes, and when it is known for the first time. */
  readonly onChange: (key: string, state: ProbeState) => void;
  readonly signal: AbortSignal;
}

interface Asked {
  readonly sentMs: number;
  readonly lateMs: number;
  readonly settle: (ok: boolean) => void;
}

interface Asking {
  readonly target: ProbeTarget;
  nextMs: number;
  state: ProbeState;
}

/** Questions of so long leave together. */
const BURST_MS = 200;
const unknown: ProbeState = { ...unknownReachability, rttMs: undefined };

export class Prober {
  readonly #options: ProberOptions;
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #asked = new Map<string, Asked>();
  /** Who asked us last when, by address; of targets only. */
  readonly #heardMs = new Map<string, number>();
  #askings = new Map<string, Asking>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: ProberOptions, socket: Socket, fd: number) {
    this.#options = options;
    this.#socket = socket;
    this.#fd = fd;
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    // An unreachable target or an address that is away for a moment is what probes are for: it shows as silence.
    socket.on('error', () => {});
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  /** Binds the socket. Throws KernelError as `bindUdp` does. */
  static open(options: ProberOptions): Prober {
    const socket = createSocket({ type: options.local.family === 'ipv4' ? 'udp4' : 'udp6' });
    const fd = bindUdp(options);
    socket.bind({ fd, exclusive: true });
    return new Prober(options, socket, fd);
  }

  /** Whom to ask from now on; what is known of those that stay is kept. */
  setTargets(targets: readonly ProbeTarget[]): void {
    const now = performance.now();
    const periodMs = this.#periodMs(targets.length);
    const known = this.#askings;
    this.#heardMs.clear();
    this.#askings = new Map(
      targets.map((target, i) => {
        // The new ones are spread over the period, so that they never come in one burst.
        const nextMs = now + (periodMs * (i + 1)) / targets.length;
        const before = known.get(target.key);
        return [target.key, before ? { ...before, target } : { target, nextMs, state: unknown }];
      }),
    );
    this.#arm();
  }

  stateOf(key: string): ProbeState {
    return this.#askings.get(key)?.state ?? unknown;
  }

  /** Since a question of this address arrived; undefined: none has since the targets changed. */
  heardSecondsAgo(address: Ip): number | undefined {
    const heardMs = this.#heardMs.get(formatIp(address));
    return heardMs === undefined ? undefined : (performance.now() - heardMs) / 1000;
  }

  /** Asks one target now, outside its turn. */
  ask(target: ProbeTarget): void {
    const timing = this.#options.timing();
    if (!timing) return;
    const sentMs = performance.now();
    const token = this.expect(timing.timeoutSeconds * 1000, (ok) => this.#settle(target.key, ok, sentMs));
    this.#send(encodeProbe({ kind: 'ask', token }), target.address, this.#options.port);
  }

  /** A token whose answer on this socket is waited for, whichever way the question was sent. */
  expect(timeoutMs: number, settle: (ok: boolean) => void): string {
    const token = randomBytes(8).toString('hex');
    const sentMs = performance.now();
    this.#asked.set(token, { sentMs, lateMs: sentMs + timeoutMs, settle });
    this.#arm();
    return token;
  }

  #periodMs(targets: number): number {
    const { timing, mostPerSecond } = this.#options;
    return Math.max((timing()?.periodSeconds ?? 0) * 1000, (targets / mostPerSecond) * 1000);
  }

  #arm(): void {
    if (this.#timer || this.#options.signal.aborted) return;
    if (this.#askings.size === 0 && this.#asked.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
      this.#arm();
    }, this.#burstMs());
  }

  /** Shorter than either of period and timeout, so that neither is stretched. */
  #burstMs(): number {
    const { periodSeconds = 1, timeoutSeconds = 1 } = this.#options.timing() ?? {};
    return Math.min(BURST_MS, (periodSeconds * 1000) / 2, (timeoutSeconds * 1000) / 2);
  }

  #tick(): void {
    const now = performance.now();
    for (const [token, asked] of this.#asked) {
      if (asked.lateMs > now) continue;
      this.#asked.delete(token);
      asked.settle(false);
    }
    const timing = this.#options.timing();
    if (!timing) return;
    const relaxedMs = this.#periodMs(this.#askings.size);
    let left = Math.ceil((this.#options.mostPerSecond * BURST_MS) / 1000);
    for (const asking of this.#askings.values()) {
      if (asking.nextMs > now) continue;
      // One that has just missed a probe is asked at the pace that was configured, however large the cluster.
      const suspect = asking.state.lastOk === false && asking.state.reachable !== false;
      asking.nextMs = now + (suspect ? timing.periodSeconds * 1000 : relaxedMs);
      this.ask(asking.target);
      if (--left === 0) return;
    }
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    const probe = decodeProbe(bytes);
    if (probe?.kind === 'ask') {
      // Strangers could fill it.
      if (this.#heardMs.has(from.address) || this.#heardMs.size < this.#askings.size)
        this.#heardMs.set(from.address, performance.now());
      this.#send(encodeProbe({ kind: 'answer', token: probe.token }), ip(from.address), from.port);
    } else if (probe) {
      const asked = this.#asked.get(probe.token);
      this.#asked.delete(probe.token);
      asked?.settle(true);
    }
  }

  #send(bytes: Buffer, address: Ip, port: number): void {
    if (this.#options.signal.aborted) return;
    try {
      sendTo(this.#fd, bytes, socketAddress(address, port), 'send a probe');
    } catch {
      // No route, no buffer, no address: a probe without an answer.
    }
  }

  #settle(key: string, ok: boolean, sentMs: number): void {
    const asking = this.#askings.get(key);
    const timing = this.#options.timing();
    if (!asking || !timing) return;
    const before = asking.state;
    const rttMs = ok ? performance.now() - sentMs : before.rttMs;
    asking.state = { ...afterProbe(before, ok, timing), rttMs };
    if (!ok) asking.nextMs = Math.min(asking.nextMs, sentMs + timing.periodSeconds * 1000);
    if (asking.state.reachable !== before.reachable) this.#options.onChange(key, asking.state);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#asked.clear();
    this.#socket.close();
  }
}
