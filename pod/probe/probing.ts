/** Probes the containers of one pod, each at the period of its probes. */
import { sleep, systemClock } from '../../clock/clock.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Docker } from '../docker/daemon.ts';
import { PodError } from '../errors.ts';
import type { Probe, ProbeKind } from '../manifest/pod.ts';
import { ask } from './ask.ts';
import { after, beginning, isDue, type ProbeState } from './machine.ts';

export interface Target {
  readonly container: string;
  readonly id: string;
  readonly kind: ProbeKind;
  readonly probe: Probe;
  readonly startedAtMs: number;
  readonly address: string;
}

export interface Verdict {
  readonly target: Target;
  readonly result: 'success' | 'failure';
  /** Of the last failure. */
  readonly reason: string;
}

export class Probing {
  readonly #docker: Docker;
  readonly #onVerdict: (verdict: Verdict) => void;
  readonly #onFault: (error: unknown) => void;
  readonly #running = new Map<string, AbortController>();

  constructor(options: {
    docker: Docker;
    onVerdict: (verdict: Verdict) => void;
    /** Called with a failure that is not the probe's. */
    onFault: (error: unknown) => void;
  }) {
    this.#docker = options.docker;
    this.#onVerdict = options.onVerdict;
    this.#onFault = options.onFault;
  }

  /** From now on these are probed, and no others. */
  follow(targets: readonly Target[]): void {
    const wanted = new Map(targets.map((target) => [`${target.id} ${target.kind}`, target]));
    for (const [key, stop] of this.#running) {
      if (wanted.has(key)) continue;
      stop.abort();
      this.#running.delete(key);
    }
    for (const [key, target] of wanted) {
      if (this.#running.has(key)) continue;
      const stop = new AbortController();
      this.#running.set(key, stop);
      this.#keepAsking(target, stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) this.#onFault(error);
      });
    }
  }

  stop(): void {
    this.follow([]);
  }

  async #keepAsking(target: Target, signal: AbortSignal): Promise<void> {
    const { kind, probe } = target;
    // A start in the future was seen on a clock that was ahead.
    const startedAtMs = Math.min(target.startedAtMs, Date.now());
    const beginMs = startedAtMs + probe.initialDelaySeconds * 1000;
    await sleep(systemClock, beginMs - Date.now(), signal);
    let state = beginning(kind);
    while (!state.over) {
      const before = state;
      const since = Date.now();
      const sinceMs = performance.now();
      if (isDue(state, { kind, probe, runningMs: since - startedAtMs, started: kind !== 'startup' })) {
        state = await this.#step(target, state, signal);
      }
      signal.throwIfAborted();
      if (state.over && state === before) return;
      await sleep(systemClock, probe.periodSeconds * 1000 - (performance.now() - sinceMs), signal);
    }
  }

  async #step(target: Target, state: ProbeState, signal: AbortSignal): Promise<ProbeState> {
    const { outcome, reason } = await this.#ask(target, signal);
    const next = after(state, outcome, target);
    if (next.result !== state.result && next.result !== 'unknown') {
      this.#onVerdict({ target, result: next.result, reason });
    }
    return next;
  }

  async #ask(
    target: Target,
    signal: AbortSignal,
  ): Promise<{ outcome: 'success' | 'failure' | 'unknown'; reason: string }> {
    const { id, address, probe } = target;
    const timeoutMs = probe.timeoutSeconds * 1000;
    try {
      await ask({ docker: this.#docker, id, address, handler: probe.handler, timeoutMs, signal });
      return { outcome: 'success', reason: '' };
    } catch (error) {
      signal.throwIfAborted();
      const isAnswer = error instanceof PodError && error.code === 'hook';
      return { outcome: isAnswer ? 'failure' : 'unknown', reason: reasonOf(error) };
    }
  }
}
