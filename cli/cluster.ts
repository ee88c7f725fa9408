/** `weftctl cluster`: what all nodes have in common. */
import type { Command } from 'commander';
import { withExamples } from './output.ts';
import { configOf, type StoreOptions, withStore, withStoreOptions } from './store-options.ts';

interface InitOptions extends StoreOptions {
  readonly network?: string;
  readonly network6?: string;
  readonly subnetLength?: string;
  readonly subnetLength6?: string;
  readonly backend?: string;
  readonly vni?: string;
  readonly port?: string;
  readonly replace: boolean;
}

export function describeCluster(cluster: Command): void {
  cluster.description('What all nodes of the cluster have in common.');
  withExamples(
    withStoreOptions(cluster.command('init')),
    'weftctl cluster init',
    'weftctl cluster init --etcd https://192.168.188.100:2379 --network 10.32.0.0/12',
  )
    .description(
      "writes the cluster's configuration into the store; a node that contradicts it refuses to start",
    )
    .option('--network <cidr>', "the cluster's IPv4 network (10.244.0.0/16)")
    .option('--network6 <cidr>', "the cluster's IPv6 network")
    .option('--subnet-length <bits>', "length of a node's IPv4 subnet (24)")
    .option('--subnet-length6 <bits>', "length of a node's IPv6 subnet (64)")
    .option('--backend <type>', 'vxlan, direct or auto (vxlan)')
    .option('--vni <number>', 'VXLAN network identifier (1)')
    .option('--port <number>', 'UDP port of VXLAN (8472)')
    .option('--replace', 'though the store has another configuration', false)
    .action(async (options: InitOptions) => {
      const { initCluster } = await import('../agent/lease/operator/administer.ts');
      const { clusterConfigOf } = await import('../agent/lease/flannel/cluster-config.ts');
      const { network, network6, subnetLength, subnetLength6, backend, vni, port, replace, ...store } =
        options;
      const config = configOf(
        store,
        withoutUndefined({
          network,
          network6,
          subnetLength: numberOf(subnetLength),
          subnetLength6: numberOf(subnetLength6),
          backend: orUndefined(withoutUndefined({ type: backend, vni: numberOf(vni), port: numberOf(port) })),
        }),
      );
      const outcome = await withStore(config, (opened, signal) =>
        initCluster({ store: opened, config: clusterConfigOf(config), replace, signal }),
      );
      process.stdout.write(`the cluster's configuration is ${outcome}\n`);
    });
}

const numberOf = (text: string | undefined): number | string | undefined =>
  text === undefined ? undefined : /^\d+$/.test(text) ? Number(text) : text;

const withoutUndefined = (object: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

const orUndefined = (object: Record<string, unknown>): Record<string, unknown> | undefined =>
  Object.keys(object).length === 0 ? undefined : object;
