/** ADD and DEL on a node as a container runtime does them, with the node's own configuration and executables. */

import { firstNetwork, type Network } from '../libcni/network.ts';
import { type Attachment, CniRuntime } from '../libcni/runtime.ts';
import { serviceEnvironment } from './daemon.ts';
import { LabError } from './errors.ts';
import { onGround } from './ground.ts';
import type { LabNode } from './node.ts';

/** Where runtimes look for plugins: upstream's folder, then Debian's. */
const pluginDirs = ['/opt/cni/bin', '/usr/lib/cni'];

export interface Sandbox {
  readonly node: LabNode;
  readonly containerId: string;
  /** Path of the network namespace, as the node sees it. */
  readonly netns: string;
}

/** Returns the addresses that ADD gave, without their length. Throws `PluginError` if the plugin refuses. */
export async function addSandbox(sandbox: Sandbox): Promise<string[]> {
  const result = await runtimeOf(sandbox.node).add(await networkOf(sandbox.node), attachmentOf(sandbox));
  const ips = (Array.isArray(result.ips) ? result.ips : []) as { address: string }[];
  return ips.map(({ address }) => address.slice(0, address.indexOf('/')));
}

export async function delSandbox(sandbox: Sandbox): Promise<void> {
  await runtimeOf(sandbox.node).del(await networkOf(sandbox.node), attachmentOf(sandbox));
}

/** A runtime on the node, for verbs beyond ADD and DEL. */
export const runtimeOf = (node: LabNode): CniRuntime =>
  new CniRuntime({
    pluginDirs,
    prefix: onGround({ lab: node.lab, node: node.name }, []),
    cacheDir: node.path('/var/lib/cni/results'),
    env: serviceEnvironment(node.lab),
  });

/** The network that a runtime on the node would use. Throws `LabError` if there is none. */
export async function networkOf(node: LabNode): Promise<Network> {
  const folder = node.path('/etc/cni/net.d');
  const network = await firstNetwork(folder);
  if (!network) throw new LabError(`no CNI configuration on ${node.name}: ${folder} is empty`);
  return network;
}

const attachmentOf = ({ containerId, netns }: Sandbox): Attachment => ({
  containerId,
  netns,
  ifname: 'eth0',
});
