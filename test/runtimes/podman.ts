/** podman on a node of the lab, with CNI as its network backend. It has no daemon. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';

/**
 * Locks in files: podman's others are in /dev/shm, which all nodes of the lab share. Limits that root without
 * CAP_SYS_RESOURCE may set.
 */
const configuration = `
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin", "/usr/lib/cni"]
network_config_dir = "/etc/cni/net.d"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
[containers]
log_driver = "none"
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
`;

const storage = `
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`;

export class Podman {
  readonly node: LabNode;
  readonly #cgroup: string;

  private constructor(node: LabNode, cgroup: string) {
    this.node = node;
    this.#cgroup = cgroup;
  }

  /** Configures it and loads the image, which is at `archive`. */
  static async furnish(request: { node: LabNode; archive: string; cgroup: string }): Promise<Podman> {
    const { node, archive, cgroup } = request;
    mkdirSync(node.path('/run/podman'), { recursive: true });
    writeFileSync(node.path('/run/podman/containers.conf'), configuration);
    writeFileSync(node.path('/run/podman/storage.conf'), storage);
    writeFileSync(node.path('/run/podman/policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const podman = new Podman(node, cgroup);
    await podman.must('load', '--quiet', '--signature-policy', '/run/podman/policy.json', '--input', archive);
    return podman;
  }

  /** `podman run` in the background, with these options before the image; returns the container's id. */
  async run(options: readonly string[], ...argv: string[]): Promise<string> {
    const said = await this.must('run', '--detach', '--cgroup-parent', this.#cgroup, ...options, ...argv);
    return said.trim();
  }

  async do(...argv: string[]): Promise<Outcome> {
    return await this.node.exec(['podman', ...argv], { env: this.#env });
  }

  /** The same; throws `LabError` with what it said if it fails. */
  async must(...argv: string[]): Promise<string> {
    return await this.node.mustExec(['podman', ...argv], { env: this.#env });
  }

  get #env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      CONTAINERS_CONF: '/run/podman/containers.conf',
      CONTAINERS_STORAGE_CONF: '/run/podman/storage.conf',
    };
  }
}
