/** containerd on a node of the lab: Debian's, at its default paths, which are the node's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { Daemon } from './daemon.ts';
import { image } from './image.ts';

export const containerdSocket = '/run/containerd/containerd.sock';

/** The CRI's images and containers are in a namespace of containerd's of their own. */
export type ContainerdNamespace = 'default' | 'k8s.io';

/**
 * `restrict_oom_score_adj`: root without CAP_SYS_RESOURCE, as in many virtual machines, could start no container.
 * The disabled plugins look for devices that a node of the lab does not have.
 */
const configuration = `
version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${image}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;

export class Containerd {
  readonly node: LabNode;
  readonly #daemon: Daemon;

  private constructor(node: LabNode, daemon: Daemon) {
    this.node = node;
    this.#daemon = daemon;
  }

  /** Starts it and imports the image, which is at `archive`, into the namespaces. */
  static async start(request: {
    node: LabNode;
    archive: string;
    namespaces: readonly ContainerdNamespace[];
  }): Promise<Containerd> {
    const { node, archive, namespaces } = request;
    mkdirSync(node.path('/run/containerd'), { recursive: true });
    writeFileSync(node.path('/run/containerd/config.toml'), configuration);
    const argv = ['containerd', '--config', '/run/containerd/config.toml', '--log-level', 'warn'];
    const daemon = await Daemon.start({ node, argv, socket: containerdSocket });
    const containerd = new Containerd(node, daemon);
    await Promise.all(
      namespaces.map((namespace) =>
        node.mustExec(['ctr', '--namespace', namespace, 'images', 'import', archive]),
      ),
    );
    return containerd;
  }

  async ctr(...args: string[]): Promise<string> {
    return await this.node.mustExec(['ctr', ...args]);
  }

  /** `ctr run --cni` to the container's end. */
  async run(request: { id: string; argv: readonly string[]; cgroup: string }): Promise<Outcome> {
    const { id, argv, cgroup } = request;
    return await this.node.exec([
      'ctr',
      'run',
      '--rm',
      '--cni',
      '--cgroup',
      `${cgroup}/${id}`,
      image,
      id,
      ...argv,
    ]);
  }

  async exec(id: string, ...argv: string[]): Promise<string> {
    return await this.ctr('tasks', 'exec', '--exec-id', `exec-${counter++}`, id, ...argv);
  }

  async stop(): Promise<void> {
    await this.#daemon.kill();
  }
}

let counter = 0;
