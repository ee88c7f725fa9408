/** Keeps all pods of this host: one worker each, and the connection to Docker that wakes them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { PodFiles } from '../control/files.ts';
import { Docker, DockerUnreachable, socketOf } from '../docker/daemon.ts';
import { watchEvents } from '../docker/events.ts';
import { listLabelled } from '../docker/observe.ts';
import { isOurs } from '../docker/ownership.ts';
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import { recordedOf } from '../plan/recorded.ts';
import { PodWorker } from './worker.ts';

export interface KeeperOptions {
  readonly files: PodFiles;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Called when Docker becomes reachable (undefined) and unreachable (why). */
  readonly onDocker: (away: string | undefined) => void;
  /** Nothing of a pod is left. */
  readonly onGone: () => void;
  readonly signal: AbortSignal;
}

const reconnectMs = 1_000;
/** A periodic look, in case a change was not notified. */
const resyncMs = 60_000;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #docker: Docker;
  readonly #workers = new Map<PodKey, { worker: PodWorker; done: Promise<void> }>();
  /** Ids of containers that were reported as foreign. */
  #foreign: ReadonlySet<string> = new Set();
  #isUp = false;

  /** @throws PodError `docker` where DOCKER_HOST names no socket */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#docker = new Docker(socketOf(options.env));
  }

  /** Runs until the signal fires and all resources are closed. Pods keep running. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const resync = setInterval(() => this.sync(), resyncMs);
    let told: string | undefined = '';
    const tell = (away: string | undefined) => {
      if (away === told) return;
      told = away;
      this.#options.onDocker(away);
      if (away === undefined) this.#options.log.info('pods.dockerReachable');
      else this.#options.log.warn('pods.dockerUnreachable', { reason: away });
    };
    while (!signal.aborted) {
      try {
        await watchEvents({
          docker: this.#docker,
          onOpen: () => {
            this.#isUp = true;
            tell(undefined);
            this.sync();
          },
          onEvent: (key) => this.#ringKnown(key),
          signal,
        });
        if (!signal.aborted) tell('the connection to Docker has ended');
      } catch (error) {
        tell(reasonOf(error));
      }
      this.#isUp = false;
      await delay(reconnectMs, undefined, { signal }).catch(() => undefined);
    }
    clearInterval(resync);
    await Promise.all([...this.#workers.values()].map(({ done }) => done));
  }

  /** Orders or anything else may have changed. Never throws, because the next call repeats the work. */
  sync(): void {
    if (!this.#isUp) return;
    this.#ringAll().catch((error: unknown) => {
      if (!(error instanceof DockerUnreachable)) this.#options.log.error('pods.listFailed', { err: error });
    });
  }

  /** Every pod that has an order or a memory. A container with labels only belongs to no pod and is reported. */
  async #ringAll(): Promise<void> {
    const { files, log } = this.#options;
    const keys = files.keys();
    for (const key of keys) this.#ring(key);
    const labelled = await listLabelled(this.#docker);
    const foreign = labelled.filter((each) => {
      if (each.key === undefined || !keys.has(each.key)) return true;
      const recorded = this.#recorded(each.key);
      return recorded !== undefined && !isOurs(each, recorded);
    });
    for (const { id, names } of foreign) {
      if (!this.#foreign.has(id)) log.warn('pods.foreignContainer', { container: id.slice(0, 12), names });
    }
    this.#foreign = new Set(foreign.map(({ id }) => id));
  }

  /** Undefined where the files cannot be read: the pod's worker reports that. */
  #recorded(key: PodKey) {
    const { files } = this.#options;
    try {
      return recordedOf(key, files.order(key)?.uid, files.memory(key));
    } catch (error) {
      if (error instanceof PodError && error.code === 'state') return undefined;
      throw error;
    }
  }

  #ringKnown(key: PodKey): void {
    if (this.#workers.has(key) || this.#options.files.has(key)) this.#ring(key);
  }

  #ring(key: PodKey): void {
    const { signal } = this.#options;
    if (signal.aborted) return;
    const known = this.#workers.get(key);
    if (known) {
      known.worker.ring();
      return;
    }
    const worker = new PodWorker({
      ...this.#options,
      key,
      docker: this.#docker,
      onGone: () => {
        this.#workers.delete(key);
        this.#options.onGone();
      },
    });
    this.#workers.set(key, { worker, done: worker.run() });
  }
}
