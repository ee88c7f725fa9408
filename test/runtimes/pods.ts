/** `weftctl pod` on a node of the lab, and what it says. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { identify, isRunning, type ProcessId, signalProcess } from '../../lab/processes.ts';
import { packageRoot } from '../../lab/product.ts';
import { image } from './image.ts';

export interface SeenPod {
  readonly name: string;
  readonly phase: string;
  readonly reason: string;
  readonly message: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly addresses: readonly string[];
  readonly containers: readonly {
    readonly name: string;
    readonly id?: string;
    readonly state: string;
    readonly reason: string;
    readonly restarts: number;
    readonly ready: boolean;
  }[];
}

/** Ends at once on SIGTERM. */
export const idleScript = 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done';

/** A container that idles, where nothing else is said. */
export const container = (name: string, over: object = {}): object => ({
  name,
  image,
  command: ['sh', '-c', idleScript],
  ...over,
});

export const manifest = (name: string, spec: object = {}, metadata: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { terminationGracePeriodSeconds: 5, containers: [container('main')], ...spec },
  });

const patienceMs = 90_000;

/** weft-podd of a node, as `weftctl pod apply` starts it where there is no service manager. */
export class PodDaemon {
  readonly #node: LabNode;

  constructor(node: LabNode) {
    this.#node = node;
  }

  log(): string {
    const path = this.#node.path('/run/weft/weft-podd.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Undefined where none runs. */
  running(): ProcessId | undefined {
    const path = this.#node.path('/run/weft/pods/keeper');
    const { pid } = existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as { pid: number })
      : { pid: 0 };
    return pid > 0 ? identify(pid) : undefined;
  }

  /** Ends it with the signal and waits until it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const found = this.running();
    if (!found || !signalProcess(found, signal)) throw new Error(`weft-podd is not running\n${this.log()}`);
    for (const since = Date.now(); isRunning(found); await delay(5)) {
      if (Date.now() - since > 20_000) throw new Error(`weft-podd outlived ${signal}\n${this.log()}`);
    }
  }

  /** Starts it and waits until it has taken over. */
  async start(): Promise<void> {
    const podd = `${process.execPath} ${packageRoot()}/dist/bin/weft-podd`;
    await this.#node.mustExec(['sh', '-c', `${podd} >>/run/weft/weft-podd.log 2>&1 </dev/null &`]);
    await this.untilRunning();
  }

  async untilRunning(): Promise<void> {
    await this.#until(() => this.running() !== undefined, 'is not running');
  }

  async untilEnded(): Promise<void> {
    await this.#until(() => this.running() === undefined, 'still runs');
  }

  async #until(holds: () => boolean, otherwise: string): Promise<void> {
    for (const since = Date.now(); !holds(); await delay(20)) {
      if (Date.now() - since > 20_000) throw new Error(`weft-podd ${otherwise}\n${this.log().slice(-3000)}`);
    }
  }
}

export class Pods {
  readonly node: LabNode;
  readonly daemon: PodDaemon;

  constructor(node: LabNode) {
    this.node = node;
    this.daemon = new PodDaemon(node);
  }

  ctl(args: readonly string[], input?: string): Promise<Outcome> {
    const argv = [process.execPath, `${packageRoot()}/dist/bin/weftctl`, 'pod', ...args];
    return this.node.exec(argv, input === undefined ? {} : { input });
  }

  async apply(text: string, ...flags: string[]): Promise<string> {
    return this.#well(await this.ctl(['apply', '-f', '-', ...flags], text));
  }

  async remove(...args: string[]): Promise<string> {
    return this.#well(await this.ctl(['rm', ...args]));
  }

  async exec(name: string, ...command: string[]): Promise<Outcome> {
    return await this.ctl(['exec', name, '--', ...command]);
  }

  async list(): Promise<SeenPod[]> {
    return JSON.parse(this.#well(await this.ctl(['ls', '-o', 'json']))).pods;
  }

  async see(name: string): Promise<SeenPod | undefined> {
    return (await this.list()).find((pod) => pod.name === name);
  }

  /** Until it is as wished; throws with how it is if it does not become so. */
  async until(name: string, wish: (pod: SeenPod) => boolean): Promise<SeenPod> {
    for (const since = Date.now(); ; await delay(100)) {
      const pod = await this.see(name);
      if (pod && wish(pod)) return pod;
      if (Date.now() - since > patienceMs) {
        throw new Error(
          `${name} is not as wished: ${JSON.stringify(pod)}\n${this.daemon.log().slice(-3000)}`,
        );
      }
    }
  }

  #well({ status, stdout, stderr }: Outcome): string {
    if (status !== 0) throw new Error(`weftctl: status ${status}: ${stderr}${stdout}`);
    return stdout;
  }
}
