/** What a node of the lab is configured with: `weft.yaml`, the CNI configuration and the plugin's executable. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { conflist, conflistName } from '../agent/conflist.ts';
import type { LabNode } from './node.ts';
import type { Product } from './product.ts';
import { clusterNetwork, type Topology } from './topology.ts';

/** Keys of `weft.yaml`, over the lab's. */
export type Configuration = Readonly<Record<string, unknown>>;

const networkKey = { ipv4: 'network', ipv6: 'network6' } as const;

export function labConfiguration(request: { topology: Topology; backend: string }): Configuration {
  const networks = request.topology.families.map((family) => [networkKey[family], clusterNetwork[family]]);
  return { ...Object.fromEntries(networks), backend: { type: request.backend } };
}

export function configureNode(request: {
  node: LabNode;
  product: Product;
  configuration: Configuration;
}): void {
  const { node, product, configuration } = request;
  writeFileSync(node.path('/etc/weft/weft.yaml'), stringify(configuration));
  const conflists = node.path('/etc/cni/net.d');
  mkdirSync(conflists);
  // As the agent writes it, and before it does: pods can be asked for while there is no agent.
  writeFileSync(join(conflists, conflistName), `${JSON.stringify(conflist, null, 2)}\n`);
  const executables = node.path('/opt/cni/bin');
  mkdirSync(executables);
  for (const name of readdirSync(product.cni)) {
    symlinkSync(join(product.cni, name), join(executables, name));
  }
}
