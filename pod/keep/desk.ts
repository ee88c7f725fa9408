/** One pod's memory and events, and what its actions need. */
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import { type DelayRange, nextDelay } from '../../retry/backoff.ts';
import type { PodFiles } from '../control/files.ts';
import type { PodEvent } from '../control/status.ts';
import type { Docker } from '../docker/daemon.ts';
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import { type ContainerMemory, emptyMemory, type Memory, type Trouble } from '../plan/memory.ts';

/** Events that a status shows. */
const keptEvents = 30;

export class Desk {
  readonly key: PodKey;
  readonly docker: Docker;
  readonly files: PodFiles;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  #memory: Memory = emptyMemory('');
  #isLoaded = false;
  #events: readonly PodEvent[] = [];
  #told = 0;

  constructor(of: { key: PodKey; docker: Docker; files: PodFiles; log: Log; env: NodeJS.ProcessEnv }) {
    this.key = of.key;
    this.docker = of.docker;
    this.files = of.files;
    this.log = of.log;
    this.env = of.env;
    this.#told = Date.now();
  }

  get memory(): Memory {
    return this.#memory;
  }

  /** On disk before an action that it records. */
  set memory(memory: Memory) {
    if (JSON.stringify(memory) === JSON.stringify(this.#memory)) return;
    this.#memory = memory;
    this.files.writeMemory(this.key, memory);
  }

  /** @throws PodError `state` where the file cannot be read */
  load(): void {
    if (this.#isLoaded) return;
    this.#memory = this.files.memory(this.key) ?? emptyMemory('');
    this.#isLoaded = true;
  }

  /**
   * Checks that the pod's files still exist: if stateDir was unmounted or emptied while the daemon runs, a missing
   * order does not mean that the pod was removed.
   *
   * @throws PodError `state`
   */
  requireFiles(): void {
    if (this.#memory.uid === '' || this.files.memory(this.key)) return;
    throw new PodError(
      'state',
      `failed to read the state of pod ${this.key}: the file in ${this.files.memoryDir} was removed ` +
        `while the daemon ran; nothing is changed; restore stateDir, or restart the daemon`,
    );
  }

  forget(): void {
    this.files.removeMemory(this.key);
    this.#memory = emptyMemory('');
  }

  container(name: string): ContainerMemory | undefined {
    return this.#memory.containers[name];
  }

  setContainer(name: string, memory: ContainerMemory): void {
    this.memory = { ...this.#memory, containers: { ...this.#memory.containers, [name]: memory } };
  }

  get events(): readonly PodEvent[] {
    return this.#events;
  }

  tell(text: string): void {
    this.#tell(text, false);
  }

  /** A failure that is retried with a backoff. */
  trouble(reason: string, error: unknown, before: Trouble | undefined, range: DelayRange): Trouble {
    const message = reasonOf(error);
    const delayMs = nextDelay(before?.delayMs, range);
    this.#tell(message, true);
    return { reason, message, delayMs, untilMs: Date.now() + delayMs };
  }

  #tell(text: string, isFault: boolean): void {
    this.#told += 1;
    const { uid } = this.#memory;
    const event = { number: this.#told, at: new Date().toISOString(), uid, text, isFault };
    this.#events = [...this.#events, event].slice(-keptEvents);
    if (isFault) this.log.warn('pod.problem', { pod: this.key, text });
    else this.log.info('pod.changed', { pod: this.key, text });
  }
}
