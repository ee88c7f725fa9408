/** A cluster whose pod network is weft, from the manifest and the image, and pods made through the API. */
import assert from 'node:assert/strict';
import type { Outcome } from '../../lab/command.ts';
import { onGround } from '../../lab/ground.ts';
import { Cluster, type ClusterOptions } from '../../lab/kubernetes/cluster.ts';
import { applyWeft, familyValues, imageArchive, weftRolledOut } from '../../lab/kubernetes/weft.ts';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { packageRoot } from '../../lab/product.ts';
import { labName, leftovers } from '../lab/ground.ts';

export const root = packageRoot();

export class ClusterFixture {
  readonly cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async raise(word: string, options: Omit<ClusterOptions, 'name'> = {}): Promise<ClusterFixture> {
    const images = [imageArchive(), ...(options.images ?? [])];
    return new ClusterFixture(await Cluster.up({ ...options, name: labName(word), images }));
  }

  /** Nothing of the cluster may be left. */
  async raze(): Promise<void> {
    const { name } = this.cluster.lab;
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  }

  /** Applies weft, with values of the chart over its defaults, and waits until every agent is ready. */
  async applyWeft(set: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await applyWeft(this.cluster, { ...familyValues(this.cluster), ...set });
  }

  async weftRolledOut(): Promise<void> {
    await weftRolledOut(this.cluster);
  }

  /** Throws `LabError` with kubectl's words. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.cluster.controlPlane.mustKubectl(args, input === undefined ? {} : { input });
  }

  apply(...objects: readonly object[]): Promise<string> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    return this.kubectl(['apply', '-f', '-'], JSON.stringify(list));
  }

  /** The object's JSON. */
  async get<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(['get', '-o', 'json', ...args])) as T;
  }

  /** The pods, once each is ready. */
  async ready(...names: readonly string[]): Promise<ClusterPod[]> {
    const pods = names.map((name) => `pod/${name}`);
    await this.kubectl(['wait', '--for=condition=Ready', '--timeout=60s', ...pods]);
    return await Promise.all(names.map((name) => this.pod(name)));
  }

  /** The pods of a DaemonSet or Deployment, by their label `app`, once it has rolled out. */
  async rolledOut(kind: 'daemonset' | 'deployment', app: string): Promise<ClusterPod[]> {
    await this.kubectl(['rollout', 'status', `${kind}/${app}`, '--timeout=90s']);
    const { items } = await this.get<{ items: PodObject[] }>('pods', '-l', `app=${app}`);
    return await Promise.all(items.map((item) => this.#podOf(item)));
  }

  async pod(name: string): Promise<ClusterPod> {
    return this.#podOf(await this.get<PodObject>('pod', name));
  }

  node(name: string): LabNode {
    return this.cluster.lab.node(name);
  }

  async #podOf(object: PodObject): Promise<ClusterPod> {
    const node = this.node(object.spec.nodeName);
    const addresses = object.status.podIPs.map(({ ip }) => ip);
    const netns = object.spec.hostNetwork ? undefined : await netnsOf(node, addresses[0] ?? '');
    return new ClusterPod({ name: object.metadata.name, node, addresses, netns });
  }
}

interface PodObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string; readonly hostNetwork?: boolean };
  readonly status: { readonly podIPs: readonly { readonly ip: string }[] };
}

/** The namespace in which the address is, by its path on the node. */
async function netnsOf(node: LabNode, address: string): Promise<string> {
  const script = `
for path in /run/netns/cni-*; do
  if nsenter --net="$path" ip -o address show dev eth0 2>/dev/null | grep -qF " $1/"; then echo "$path"; fi
done`;
  const paths = (await node.mustExec(['sh', '-c', script, 'sh', address])).trim().split('\n');
  assert.equal(paths.length, 1, `namespaces with ${address} on ${node.name}: ${paths.join(', ')}`);
  return paths[0] ?? '';
}

/** A running pod; programs of the host run in its network. */
export class ClusterPod {
  readonly name: string;
  readonly node: LabNode;
  readonly addresses: readonly string[];
  /** Path on the node; undefined for a pod on the node's own network. */
  readonly netns: string | undefined;

  constructor(pod: Pick<ClusterPod, 'name' | 'node' | 'addresses' | 'netns'>) {
    this.name = pod.name;
    this.node = pod.node;
    this.addresses = pod.addresses;
    this.netns = pod.netns;
  }

  /** The command line that runs a program of the host in the pod's network. */
  command(argv: readonly string[]): string[] {
    const entered = this.netns ? ['nsenter', `--net=${this.netns}`, '--', ...argv] : argv;
    return onGround({ lab: this.node.lab, node: this.node.name }, entered);
  }

  exec(argv: readonly string[]): Promise<Outcome> {
    return this.node.exec(this.netns ? ['nsenter', `--net=${this.netns}`, '--', ...argv] : argv);
  }

  /** Throws with ping's words if an answer is missing. */
  async ping(address: string): Promise<void> {
    const { status, stdout, stderr } = await this.exec(['ping', '-n', '-c', '1', '-W', '2', address]);
    assert.equal(status, 0, `${this.name} to ${address}: ${stdout}${stderr}`);
  }

  /** What a web server answers to a pod: the last line of the page; empty if nobody answers. */
  page(address: string, port = 80): Promise<string> {
    return page(this, address, port);
  }
}

/** The last line of the page `/` of a web server; empty if nobody answers. */
export async function page(
  from: { exec(argv: readonly string[]): Promise<Outcome> },
  address: string,
  port = 80,
): Promise<string> {
  const ask = 'printf "GET / HTTP/1.0\\r\\n\\r\\n" | busybox nc -w 2 "$1" "$2"';
  const { stdout } = await from.exec(['sh', '-c', ask, 'sh', address, String(port)]);
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}
