/** `weftctl node`: the nodes that hold subnets. */
import type { Command } from 'commander';
import type { Rtnl } from '../kernel/netlink/rtnl.ts';
import { configOf, type StoreOptions, UsageError, withStore, withStoreOptions } from './store-options.ts';
import { table } from './table.ts';

export function describeNode(node: Command): void {
  node.description('Manage the nodes of the cluster and their subnet leases.');

  withStoreOptions(node.command('list'))
    .description('list the nodes, their subnets and their last renewals')
    .action(async (options: StoreOptions) => {
      const { listNodes } = await import('../agent/lease/operator/administer.ts');
      const nodes = await withStore(configOf(options), listNodes);
      const rows = nodes.map(({ name, key, publicIps, silentSeconds }) => [
        name || '(flannel or reserved)',
        key,
        publicIps.join(','),
        silentSeconds === undefined
          ? '-'
          : Number.isFinite(silentSeconds)
            ? `${Math.round(silentSeconds)} s ago`
            : 'before the last reboot',
      ]);
      process.stdout.write(table([['NODE', 'SUBNET', 'PUBLIC IP', 'LAST RENEWAL'], ...rows]));
    });

  withStoreOptions(node.command('leave'))
    .description('release the subnet of this node; drain it first')
    .action(async (options: StoreOptions) => {
      const { leaveCluster } = await import('../agent/lease/operator/administer.ts');
      const { conflistDirectory, teardownConflist } = await import('../agent/conflist.ts');
      const { identityPath, readIdentity } = await import('../agent/identity/identity.ts');
      const { readBootId } = await import('../kernel/boot.ts');
      const { readRun } = await import('../agent/lease/disk/run.ts');
      const { renounceSaved } = await import('../agent/lease/disk/renounce.ts');
      const config = configOf(options);
      const { runDir, stateDir } = config;
      const nodeId = readIdentity(identityPath(stateDir))?.nodeId;
      if (nodeId === undefined) {
        throw new UsageError(
          `no node identity in ${stateDir}: run this on the node, with the weft.yaml of its weftd`,
        );
      }
      const key = await withStore(config, (store, signal) =>
        leaveCluster({
          store,
          nodeId,
          run: readRun(runDir, readBootId()),
          renounce: () => renounceSaved({ runDir, stateDir }),
          signal,
        }),
      );
      // No runtime is to ask for pods that cannot be made.
      teardownConflist({ directory: conflistDirectory, stateDir });
      process.stdout.write(`released ${key}; weftd makes no pods until it is restarted\n`);
    });

  withStoreOptions(node.command('forget <name>'))
    .description('release the subnet of a node that no longer exists')
    .option('--force', 'also if the node renewed its lease recently', false)
    .addHelpText(
      'after',
      "\nNAME is a node's name, its id, its public IP, or its subnet such as 10.244.3.0-24.",
    )
    .action(async (named: string, options: StoreOptions & { force: boolean }) => {
      const { forgetNode } = await import('../agent/lease/operator/administer.ts');
      const { force, ...rest } = options;
      const gone = await withStore(configOf(rest), (store, signal) =>
        forgetNode({ store, named, force, signal }),
      );
      process.stdout.write(`${gone.key} of ${gone.name || gone.publicIps.join(',')} released\n`);
    });

  node
    .command('cleanup')
    .description('remove weft from this host; drain the node and stop weftd first')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .option('--force', 'also if pods run: they lose their network', false)
    .action(async ({ config, force }: { config?: string; force: boolean }) => {
      const { cleanUpHost } = await import('../agent/cleanup/cleanup.ts');
      const { configSource, loadConfig } = await import('../agent/config/load.ts');
      if (process.geteuid?.() !== 0)
        throw new UsageError('cleanup changes the network of this host: use sudo');
      const loaded = loadConfig(configSource({ flag: config, env: process.env }));
      const { PodFiles } = await import('../pod/control/files.ts');
      const pods = new PodFiles(loaded.config).keys();
      if (pods.size > 0 && !force) {
        throw new UsageError(
          `${pods.size} pods on Docker run on this node: remove them (weftctl pod rm --all), or use --force`,
        );
      }
      const removed = await cleanUpHost({ config: loaded.config, force });
      const { stateDir } = loaded.config;
      process.stdout.write(removed.map((what) => `removed or restored: ${what}\n`).join(''));
      process.stdout.write(
        `kept: ${stateDir}, with the node's identity and its lease ("weftctl node leave" releases the subnet)\n`,
      );
    });

  node
    .command('take-over-flannel')
    .description(
      "makes flannel's device, rules and CNI configuration on this node weft's; end flanneld before",
    )
    .option('--cni-conf-dir <dir>', 'where runtimes look for CNI configurations', '/etc/cni/net.d')
    .action(async ({ cniConfDir }: { cniConfDir: string }) => {
      const { takeOverFlannel } = await import('../agent/flannel-node/flannel-node.ts');
      report(await withRtnl((rtnl) => takeOverFlannel(rtnl, { directory: cniConfDir })));
    });

  node
    .command('hand-back-to-flannel')
    .description('the way back: flannel finds its device and its CNI configuration; end weftd before')
    .option('--cni-conf-dir <dir>', 'where runtimes look for CNI configurations', '/etc/cni/net.d')
    .option('--state-dir <dir>', "the agent's stateDir", '/var/lib/weft')
    .action(async ({ cniConfDir, stateDir }: { cniConfDir: string; stateDir: string }) => {
      const { handBackToFlannel } = await import('../agent/flannel-node/flannel-node.ts');
      const { openNfnl } = await import('../kernel/nft/nfnetlink.ts');
      const nfnl = openNfnl();
      try {
        const place = { directory: cniConfDir, stateDir };
        report(await withRtnl((rtnl) => handBackToFlannel({ rtnl, nfnl, place })));
      } finally {
        nfnl.close();
      }
    });
}

const report = (done: readonly string[]): void => {
  process.stdout.write(done.length > 0 ? `${done.join('\n')}\n` : 'nothing to do\n');
};

async function withRtnl<T>(work: (rtnl: Rtnl) => T): Promise<T> {
  const { openRtnl } = await import('../kernel/netlink/rtnl.ts');
  const rtnl = openRtnl();
  try {
    return work(rtnl);
  } finally {
    rtnl.close();
  }
}
