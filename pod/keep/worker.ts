/**
 * Reconciles one pod: observe, plan, apply, until there is nothing to do, and again after every event. All of a
 * pod is done here, one thing after another.
 */
import { systemClock } from '../../clock/clock.ts';
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import { nextDelay } from '../../retry/backoff.ts';
import { Bell } from '../../retry/bell.ts';
import type { Order, PodFiles } from '../control/files.ts';
import { statusOf } from '../control/status.ts';
import { type Docker, DockerUnreachable } from '../docker/daemon.ts';
import { removeFiles } from '../docker/mounts.ts';
import { observe } from '../docker/observe.ts';
import { removeVolumes } from '../docker/sandbox.ts';
import { unmountSubpaths } from '../docker/subpath.ts';
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import { emptyMemory, remember } from '../plan/memory.ts';
import type { Observed } from '../plan/observed.ts';
import { planPod } from '../plan/plan.ts';
import { recordedOf } from '../plan/recorded.ts';
import type { Action } from '../plan/situation.ts';
import { Probing, type Verdict } from '../probe/probing.ts';
import { endContainer, startContainer } from './containers.ts';
import { Desk } from './desk.ts';
import { recordVerdicts, targetsOf } from './probes.ts';
import { attachSandbox, detachSandbox, makeSandbox, type Outcome } from './sandbox.ts';

export interface WorkerOptions {
  readonly key: PodKey;
  readonly docker: Docker;
  readonly files: PodFiles;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Nothing of the pod is left. */
  readonly onGone: () => void;
  readonly signal: AbortSignal;
}

/** The keeper rings when Docker is reachable again; a single failed request is repeated after this time. */
const unreachableMs = 2_000;
const faultDelay = { leastMs: 1_000, mostMs: 30_000 };
/** Stages of one pass; more means that the actions change nothing. */
const mostStages = 100;

export class PodWorker {
  readonly #options: WorkerOptions;
  readonly #desk: Desk;
  readonly #bell = new Bell(systemClock);
  readonly #probing: Probing;
  #verdicts: Verdict[] = [];
  /** The order of the present pass, and what interrupts it. */
  #pass: { readonly mark: string; readonly interrupt: AbortController } | undefined;
  #faultDelayMs: number | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#desk = new Desk(options);
    this.#probing = new Probing({
      docker: options.docker,
      onVerdict: (verdict) => {
        this.#verdicts.push(verdict);
        this.#bell.ring();
      },
      onFault: (error) => options.log.error('pod.probeFailed', { pod: options.key, err: error }),
    });
  }

  /** Something has happened. The running pass is interrupted if the order has changed. */
  ring(): void {
    this.#bell.ring();
    if (this.#pass && this.#hasChanged(this.#pass.mark)) this.#pass.interrupt.abort();
  }

  /** An order that cannot be read is reported by the next pass, and changes nothing. */
  #hasChanged(mark: string): boolean {
    try {
      return mark !== markOf(this.#order());
    } catch (error) {
      if (error instanceof PodError && error.code === 'state') return false;
      throw error;
    }
  }

  /** Until the signal fires or nothing of the pod is left. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    try {
      while (!signal.aborted) {
        let wakeAtMs: number | undefined;
        try {
          const outcome = await this.#keep();
          if (outcome === 'gone') return;
          wakeAtMs = outcome.wakeAtMs;
          this.#faultDelayMs = undefined;
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof DockerUnreachable) wakeAtMs = Date.now() + unreachableMs;
          else if (error === orderChanged) continue;
          else {
            this.#faultDelayMs = nextDelay(this.#faultDelayMs, faultDelay);
            wakeAtMs = Date.now() + this.#faultDelayMs;
            this.#report(error);
          }
        }
        await this.#bell.wait(wakeAtMs === undefined ? undefined : wakeAtMs - Date.now(), signal);
      }
    } finally {
      this.#probing.stop();
    }
  }

  async #keep(): Promise<{ wakeAtMs: number | undefined } | 'gone'> {
    const { key, docker, signal, onGone } = this.#options;
    for (let stage = 0; stage < mostStages; stage++) {
      this.#desk.load();
      this.#desk.requireFiles();
      const order = this.#order();
      const observed = await observe(docker, recordedOf(key, order?.uid, this.#desk.memory));
      this.#desk.memory = remember(this.#desk.memory, observed, Date.now());
      recordVerdicts(this.#desk, order, this.#verdicts.splice(0));
      const plan = planPod({ wanted: order, observed, memory: this.#desk.memory, nowMs: Date.now() });
      this.#probing.follow(targetsOf(this.#desk, order, observed));
      this.#publish(order, observed);
      if (plan.actions.length === 0) return { wakeAtMs: plan.wakeAtMs };
      if (await this.#carryOut(plan.actions, order, signal)) {
        onGone();
        return 'gone';
      }
    }
    throw new Error(`pod ${key} is not as planned after ${mostStages} stages`);
  }

  /** True once nothing of the pod is left. */
  async #carryOut(
    actions: readonly Action[],
    order: Order | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const interrupt = new AbortController();
    const over = AbortSignal.any([signal, interrupt.signal]);
    this.#pass = { mark: markOf(order), interrupt };
    try {
      const stops = actions.flatMap((action) => (action.kind === 'stop' ? [action] : []));
      await Promise.all(stops.map((action) => endContainer(this.#desk, action, over)));
      for (const action of actions) {
        if (action.kind === 'stop') continue;
        if (action.kind === 'forget') return this.#forget(order);
        if ((await this.#act(action, order, over)) === 'failed') return false;
      }
      return false;
    } catch (error) {
      if (interrupt.signal.aborted && !signal.aborted) throw orderChanged;
      throw error;
    } finally {
      this.#pass = undefined;
    }
  }

  async #act(
    action: Exclude<Action, { kind: 'stop' | 'forget' }>,
    order: Order | undefined,
    interrupt: AbortSignal,
  ): Promise<Outcome> {
    const desk = this.#desk;
    const { docker } = desk;
    switch (action.kind) {
      case 'detach':
        return await detachSandbox(desk, action.attachment, action.sandbox);
      case 'remove':
        await docker.askIfThere(`remove the container ${action.container.name}`, (api) =>
          api.getContainer(action.container.id).remove({ force: true, v: true }),
        );
        return 'done';
      case 'dropVolumes':
        if (action.uid === '') return 'done';
        await unmountSubpaths({ uid: action.uid, subpathsDir: desk.files.subpathsDir });
        await removeVolumes(docker, action.uid);
        removeFiles({ uid: action.uid, volumesDir: desk.files.volumesDir });
        return 'done';
      case 'end':
        desk.memory = { ...desk.memory, ended: action.phase };
        desk.tell(action.phase === 'Succeeded' ? 'all containers succeeded' : 'the pod failed');
        return 'done';
    }
    if (!order) return 'done';
    switch (action.kind) {
      case 'adopt':
        desk.memory = { ...emptyMemory(order.uid), addresses: desk.memory.addresses };
        return 'done';
      case 'makeSandbox':
        return await makeSandbox(desk, order);
      case 'attach':
        return await attachSandbox(desk, order, action.sandbox);
      case 'start':
        await startContainer(desk, order, action, interrupt);
        return 'done';
    }
  }

  #forget(order: Order | undefined): boolean {
    const { key, files } = this.#options;
    // The order is removed last: weftctl waits for that.
    this.#desk.forget();
    files.removeStatus(key);
    files.removeOrder(key, order?.uid);
    this.#desk.tell('removed');
    return files.order(key) === undefined;
  }

  #publish(order: Order | undefined, observed: readonly Observed[]): void {
    const { key, files } = this.#options;
    const { memory, events } = this.#desk;
    if (order) files.writeStatus(key, statusOf({ wanted: order, observed, memory, events }));
  }

  /** Files that cannot be read are shown in `pod ls` too: nothing is done for the pod until they can. */
  #report(error: unknown): void {
    const { key, files, log } = this.#options;
    if (!(error instanceof PodError) || error.code !== 'state') {
      log.error('pod.passFailed', { pod: key, reason: reasonOf(error), err: error });
      return;
    }
    log.error('pod.stateUnreadable', { pod: key, reason: error.message });
    const status = files.status(key);
    if (status) files.writeStatus(key, { ...status, reason: 'StateUnreadable', message: error.message });
  }

  #order(): Order | undefined {
    return this.#options.files.order(this.#options.key);
  }
}

/** The order has changed. */
const orderChanged = new Error('the order has changed');

const markOf = (order: Order | undefined): string => JSON.stringify([order?.uid, order?.removal]);
