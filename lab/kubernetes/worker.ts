/** What makes a node of the lab a node of Kubernetes: containerd, the kubelet and kube-proxy, at their default paths. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Family } from '../../inet/ip.ts';
import { endCgroup } from '../cgroup.ts';
import { mustRun } from '../command.ts';
import { Daemon, type Readiness } from '../daemon.ts';
import { onGround } from '../ground.ts';
import { nodeCgroup, nodeFolder } from '../names.ts';
import type { LabNode } from '../node.ts';
import { programPath } from './binaries.ts';
import type { FileNames } from './credentials.ts';
import { pauseImage } from './images.ts';
import {
  containerdConfiguration,
  containerdSocket,
  kubeletConfiguration,
  type ProxyMode,
  proxyConfiguration,
} from './kubelet.ts';

/** Of the machine, and a kubelet sets them: each node has files of its own in their place. */
const kernelTunables = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
} as const;

export class Worker {
  readonly node: LabNode;
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly kubeProxy: Daemon;
  readonly #families: readonly Family[];
  readonly #files: FileNames;

  /** `programs`: the folder that `ensureKubernetes` returns. */
  constructor(request: { node: LabNode; programs: string; families: readonly Family[]; files: FileNames }) {
    const { node, programs, families, files } = request;
    this.node = node;
    this.#families = families;
    this.#files = files;
    this.containerd = this.#daemon('containerd', { ask: () => listens(node.path(containerdSocket)) }, () => [
      ...['containerd', '--config', '/run/kubernetes/containerd.toml', '--log-level', 'warn'],
    ]);
    const notify = join(nodeFolder(node.lab, node.name), 'run/kubernetes/notify');
    const ready = { notify: { outside: notify, inside: '/run/kubernetes/notify' } };
    this.kubelet = this.#daemon('kubelet', ready, () => [
      programPath(programs, 'kubelet'),
      '--config=/run/kubernetes/kubelet.yaml',
      '--kubeconfig=/run/kubernetes/kubelet.conf',
      `--hostname-override=${node.name}`,
      `--node-ip=${node.addresses.join(',')}`,
    ]);
    const ask = async (): Promise<boolean> => {
      const healthy = ['get', '--raw', '/healthz', '--server=http://127.0.0.1:10256', '--request-timeout=1s'];
      return (await node.exec([programPath(programs, 'kubectl'), ...healthy])).status === 0;
    };
    this.kubeProxy = this.#daemon('kube-proxy', { ask }, () => [
      programPath(programs, 'kube-proxy'),
      '--config=/run/kubernetes/kube-proxy.yaml',
    ]);
  }

  /** Writes every configuration file, and gives the node the places that a kubelet writes to. */
  async prepare({ proxyMode }: { proxyMode: ProxyMode }): Promise<void> {
    const { node } = this;
    const folder = node.path('/run/kubernetes');
    mkdirSync(join(folder, 'tunables'), { recursive: true });
    const file = (name: string, content: string): void => writeFileSync(join(folder, name), content);
    file('containerd.toml', containerdConfiguration(pauseImage));
    file(
      'kubelet.yaml',
      kubeletConfiguration({ cgroup: nodeCgroup(node.lab, node.name), family: this.#families[0] ?? 'ipv4' }),
    );
    this.configureProxy(proxyMode);
    // No name server: names beyond the cluster are nothing that a lab can ask for.
    file('resolv.conf', '');
    copyFileSync(this.#files.kubeconfig(node.name), join(folder, 'kubelet.conf'));
    copyFileSync(this.#files.kubeconfig('kube-proxy'), join(folder, 'kube-proxy.conf'));
    for (const [key, value] of Object.entries(kernelTunables)) {
      file(join('tunables', key.replaceAll('/', '.')), `${value}\n`);
    }
    mkdirSync(node.path('/var/lib/log'));
    await node.mustExec(['sh', '-ec', ownPlaces]);
  }

  /** For its next start. */
  configureProxy(mode: ProxyMode): void {
    const text = proxyConfiguration({ name: this.node.name, mode, families: this.#families });
    writeFileSync(this.node.path('/run/kubernetes/kube-proxy.yaml'), text);
  }

  /**
   * What a power failure and the boot after it leave of a node: its disk. Every process of its pods, `/run`, its mounts
   * and what it had in its kernel but for `lo` and its underlay are gone. Resolves once it runs again.
   */
  async reboot(): Promise<void> {
    const { node } = this;
    for (const daemon of [this.kubelet, this.kubeProxy, this.containerd]) await daemon.stop('SIGKILL');
    await endCgroup(nodeCgroup(node.lab, node.name));
    await node.mustExec(['sh', '-c', forget]);
    for (const daemon of [this.containerd, this.kubelet, this.kubeProxy]) await daemon.start();
  }

  /** `archive`: a path on the host, where the node need not see it. */
  async importImage(archive: string): Promise<void> {
    const { lab, name } = this.node;
    const ctr = ['ctr', '--namespace', 'k8s.io', 'images', 'import', '-'];
    const argv = ['sh', '-c', 'exec "$@" <"$0"', archive, ...onGround({ lab, node: name }, ctr)];
    await mustRun(argv, { env: this.node.environment() });
  }

  #daemon(program: string, ready: Readiness, command: () => readonly string[]): Daemon {
    const { lab, name } = this.node;
    const folder = nodeFolder(lab, name);
    return new Daemon({
      lab,
      label: `${program} on ${name}`,
      logFile: join(folder, `${program}.log`),
      pidFile: join(folder, `${program}.json`),
      ready,
      readyWithinMs: 60_000,
      command: () => onGround({ lab, node: name }, command()),
    });
  }
}

/**
 * Run on the node. Mounts of its own reach those of its containers that ask for it, as on a host where systemd has made
 * everything shared.
 */
const ownPlaces = `
mount --make-rshared /
mount --bind /var/lib/log /var/log
cd /run/kubernetes/tunables
for file in *; do
  mount --bind "$file" "/proc/sys/$(echo "$file" | tr . /)"
done
`;

/** Run on the node. Shims are in no cgroup of its pods; the mounts of pods lie below those of the lab. */
const forget = `
for process in /proc/[0-9]*; do
  [ "$(readlink "$process/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || continue
  [ "$(cat "$process/comm")" != containerd-shim ] || kill -KILL "\${process#/proc/}"
done
awk '{print $5}' /proc/self/mountinfo | grep -E '^/run/(netns/|containerd/)|^/var/lib/kubelet/' | sort -r |
  while read -r place; do umount -l "$place" 2>/dev/null; done
find /run -mindepth 1 -maxdepth 1 ! -name kubernetes ! -name netns -exec rm -rf {} +
rm -f /run/netns/*
ip -o link | awk -F'[:@ ]+' '{print $2}' | grep -vx -e lo -e eth0 |
  while read -r link; do ip link delete "$link" 2>/dev/null; done
nft flush ruleset
`;

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
