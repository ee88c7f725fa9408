/** Docker on a node of the lab, with its own bridge and its own firewall rules beside weft's. */

import { once } from 'node:events';
import { createReadStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import Dockerode from 'dockerode';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { identify, isRunning, signalProcess } from '../../lab/processes.ts';
import { packageRoot } from '../../lab/product.ts';
import { Daemon } from './daemon.ts';
import { image } from './image.ts';

const socket = '/run/docker.sock';

export class Docker {
  readonly node: LabNode;
  readonly api: Dockerode;
  #daemon: Daemon;
  readonly #argv: readonly string[];

  private constructor(request: { node: LabNode; api: Dockerode; daemon: Daemon; argv: readonly string[] }) {
    this.node = request.node;
    this.api = request.api;
    this.#daemon = request.daemon;
    this.#argv = request.argv;
  }

  /** Starts it and loads the image, which is at `archive`. */
  static async start(request: { node: LabNode; archive: string; cgroup: string }): Promise<Docker> {
    const { node, archive, cgroup } = request;
    mkdirSync(node.path('/run/docker'), { recursive: true });
    writeFileSync(node.path('/run/docker/daemon.json'), '{}');
    const argv = [
      'dockerd',
      ...[
        '--config-file',
        '/run/docker/daemon.json',
        '--host',
        `unix://${socket}`,
        '--storage-driver',
        'vfs',
      ],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--log-level', 'warn', '--cgroup-parent', cgroup],
    ];
    const daemon = await Daemon.start({ node, argv, socket });
    const api = new Dockerode({ socketPath: node.path(socket) });
    const docker = new Docker({ node, api, daemon, argv });
    const progress = await api.loadImage(createReadStream(node.path(archive)));
    progress.resume();
    await once(progress, 'end');
    return docker;
  }

  /** A container that idles, of no network of Docker's. */
  async run(name: string): Promise<Dockerode.Container> {
    const container = await this.api.createContainer({
      name,
      Image: image,
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    return container;
  }

  /** The script that puts a container on the machine's CNI network. */
  async network(...args: string[]): Promise<Outcome> {
    const script = `${packageRoot()}/build/scripts/docker-network.js`;
    return await this.node.exec([process.execPath, script, ...args]);
  }

  /** A command in a container; what it wrote. */
  async exec(container: Dockerode.Container, ...Cmd: string[]): Promise<{ status: number; output: string }> {
    const exec = await container.exec({ Cmd, AttachStdout: true, AttachStderr: true, Tty: true });
    const stream = await exec.start({});
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(stream, 'end');
    const { ExitCode } = await exec.inspect();
    return { status: ExitCode ?? 255, output: Buffer.concat(chunks).toString() };
  }

  /** By SIGKILL, or as a service manager ends it; containers that ran end with it, at the latest when it is back. */
  async halt(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const [dockerd, containerd] = ['docker.pid', 'docker/containerd/containerd.pid'].map((file) =>
      identify(Number(readFileSync(this.node.path(`/run/${file}`), 'utf8'))),
    );
    if (dockerd) signalProcess(dockerd, signal);
    await this.#daemon.ended();
    while (containerd && isRunning(containerd)) {
      if (signal === 'SIGKILL') signalProcess(containerd, signal);
      await delay(20);
    }
    // Until it is reaped a dockerd takes it for alive, and waits for it in vain.
    rmSync(this.node.path('/run/docker/containerd/containerd.pid'), { force: true });
  }

  /** Resolves when it answers: it listens before it has made its networks. */
  async resume(): Promise<void> {
    this.#daemon = await Daemon.start({ node: this.node, argv: this.#argv, socket });
    await this.api.ping();
  }

  async stop(): Promise<void> {
    const containers = await this.api.listContainers({ all: true });
    await Promise.all(containers.map(({ Id }) => this.api.getContainer(Id).remove({ force: true })));
    await this.#daemon.kill();
  }
}
