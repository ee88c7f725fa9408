/** A kubelet's way to a container runtime: pods by the CRI, over the runtime's socket. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { Outcome } from '../../../lab/command.ts';
import { image } from '../image.ts';
import * as methods from './methods.ts';

/** For a runtime that hangs: a kubelet waits minutes. */
const answerMs = 60_000;

export interface PodWish {
  readonly name: string;
  readonly portMappings?: readonly methods.PortMapping[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface CriPod {
  readonly name: string;
  readonly id: string;
  readonly addresses: readonly string[];
  /** The container beside the sandbox, for commands. */
  readonly containerId: string;
}

export class Cri {
  readonly #client: Client;
  readonly #cgroup: string;

  /** `socket`: its path as this process sees it. `cgroup`: the parent of what is made. */
  constructor(request: { socket: string; cgroup: string }) {
    this.#client = new Client(`unix://${request.socket}`, credentials.createInsecure());
    this.#cgroup = request.cgroup;
  }

  /** Text of each condition that does not hold: `NetworkReady: ...`. */
  async unready(): Promise<string[]> {
    const { status } = await this.#call(methods.status, {});
    return status.conditions.filter((each) => !each.status).map(({ type, message }) => `${type}: ${message}`);
  }

  /** A sandbox, for which the runtime calls the network's ADD, and a container that idles in it. */
  async run(wish: PodWish): Promise<CriPod> {
    const config: methods.PodSandboxConfig = {
      metadata: { name: wish.name, uid: `uid-${wish.name}`, namespace: 'default' },
      hostname: wish.name,
      logDirectory: '/run/pod-logs',
      portMappings: wish.portMappings ?? [],
      annotations: wish.annotations ?? {},
      linux: { cgroupParent: this.#cgroup },
    };
    const { podSandboxId } = await this.#call(methods.runPodSandbox, { config });
    const { status } = await this.#call(methods.podSandboxStatus, { podSandboxId });
    const { network } = status;
    const addresses = network ? [network.ip, ...network.additionalIps.map(({ ip }) => ip)] : [];
    const { containerId } = await this.#call(methods.createContainer, {
      podSandboxId,
      config: { metadata: { name: 'main' }, image: { image }, command: [], logPath: `${wish.name}.log` },
      sandboxConfig: config,
    });
    await this.#call(methods.startContainer, { containerId });
    return { name: wish.name, id: podSandboxId, addresses, containerId };
  }

  /** A command in the pod's container. */
  async exec(pod: CriPod, ...cmd: string[]): Promise<Outcome> {
    const { containerId } = pod;
    const exit = await this.#call(methods.execSync, { containerId, cmd, timeout: answerMs / 1000 });
    return { status: exit.exitCode, stdout: exit.stdout.toString(), stderr: exit.stderr.toString() };
  }

  /** For which the runtime calls DEL. */
  async stop(pod: Pick<CriPod, 'id'>): Promise<void> {
    await this.#call(methods.stopPodSandbox, { podSandboxId: pod.id });
  }

  async remove(pod: Pick<CriPod, 'id'>): Promise<void> {
    await this.#call(methods.removePodSandbox, { podSandboxId: pod.id });
  }

  close(): void {
    this.#client.close();
  }

  #call<Request extends object, Response>(
    method: methods.Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.encode,
        method.decode,
        request,
        { deadline: Date.now() + answerMs },
        (error: ServiceError | null, response?: Response) => {
          if (error) reject(new Error(`${method.path}: ${error.details}`, { cause: error }));
          else if (response) resolve(response);
        },
      );
    });
  }
}
