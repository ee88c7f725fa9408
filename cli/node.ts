/** `weftctl node`: the nodes that hold subnets. */
import type { Command } from 'commander';
import type { NodeEntry } from '../agent/lease/operator/administer.ts';
import type { Rtnl } from '../kernel/netlink/rtnl.ts';
import { type OutputOptions, outputOption, print, withExamples } from './output.ts';
import { configOf, type StoreOptions, withStore, withStoreOptions } from './store-options.ts';
import { table, terminalWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

export function describeNode(node: Command): void {
  node.description('Manage the nodes of the cluster and their subnet leases.');

  withExamples(
    withStoreOptions(node.command('list')).addOption(outputOption()),
    'weftctl node list',
    'weftctl node list --etcd https://192.168.188.100:2379 --ca-file ca.pem',
    'weftctl node list -o json | jq ".[].name"',
  )
    .description('list the nodes, their subnets and their last renewals')
    .action(async ({ output, ...options }: StoreOptions & OutputOptions) => {
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
      await print(output, nodes.map(listed), () =>
        table([['NODE', 'SUBNET', 'PUBLIC IP', 'LAST RENEWAL'], ...rows], { width: terminalWidth() }),
      );
    });

  withExamples(withStoreOptions(node.command('leave')), 'weftctl node leave')
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
      // So that no runtime requests pods that cannot be made.
      teardownConflist({ directory: conflistDirectory, stateDir });
      process.stdout.write(`released ${key}; weftd makes no pods until it is restarted\n`);
    });

  withStoreOptions(node.command('forget <name>'))
    .description('release the subnet of a node that no longer exists')
    .option('--force', 'also if the node renewed its lease recently', false)
    .addHelpText(
      'after',
      `
NAME is a node's name, its id, its public IP, or its subnet such as 10.244.3.0-24.

Examples:
  weftctl node forget node-3
  weftctl node forget 10.244.3.0-24 --force`,
    )
    .action(async (named: string, options: StoreOptions & { force: boolean }) => {
      const { forgetNode } = await import('../agent/lease/operator/administer.ts');
      const { force, ...rest } = options;
      const gone = await withStore(configOf(rest), (store, signal) =>
        forgetNode({ store, named, force, signal }),
      );
      process.stdout.write(`${gone.key} of ${gone.name || gone.publicIps.join(',')} released\n`);
    });

  withExamples(
    node.command('cleanup'),
    'systemctl stop weftd && weftctl node cleanup',
    'weftctl node cleanup --force          also where pods run',
  )
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

  withExamples(
    node.command('take-over-flannel'),
    'systemctl stop flanneld && weftctl node take-over-flannel && systemctl start weftd',
  )
    .description(
      "makes flannel's device, rules and CNI configuration on this node weft's; end flanneld before",
    )
    .option('--cni-conf-dir <dir>', 'where runtimes look for CNI configurations', '/etc/cni/net.d')
    .action(async ({ cniConfDir }: { cniConfDir: string }) => {
      const { takeOverFlannel } = await import('../agent/flannel-node/flannel-node.ts');
      report(await withRtnl((rtnl) => takeOverFlannel(rtnl, { directory: cniConfDir })));
    });

  withExamples(
    node.command('hand-back-to-flannel'),
    'systemctl stop weftd && weftctl node hand-back-to-flannel && systemctl start flanneld',
  )
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

/** For programs. A node whose last renewal is not known here has null. */
const listed = ({ name, key, publicIps, silentSeconds }: NodeEntry): object => ({
  name,
  subnet: key,
  publicIps,
  renewedSecondsAgo:
    silentSeconds !== undefined && Number.isFinite(silentSeconds) ? Math.round(silentSeconds) : null,
});

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
