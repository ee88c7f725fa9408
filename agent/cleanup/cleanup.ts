/**
 * The host as weft found it: what agent and plugin made in the kernel and in runDir is removed, the settings that
 * were changed are put back. What lasts by intent stays: the node's identity and its lease, and the store.
 */
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../clock/clock.ts';
import { nthIp } from '../../inet/cidr.ts';
import { type Ip, sameIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { readBootId } from '../../kernel/boot.ts';
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { openNfnl } from '../../kernel/nft/nfnetlink.ts';
import * as route from '../../kernel/route.ts';
import * as rule from '../../kernel/rule.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { BRIDGE_ALIAS } from '../../plugin/attach/names.ts';
import { readAttachments } from '../../plugin/attach/record.ts';
import { createVerbs } from '../../plugin/attach/verbs.ts';
import type { Config } from '../config/config.ts';
import { conflistDirectory, conflistName, teardownConflist } from '../conflist.ts';
import { AgentError } from '../errors.ts';
import { teardownFirewall } from '../firewall/teardown.ts';
import { keepRun } from '../lease/disk/run.ts';
import { readSaved } from '../lease/disk/saved.ts';
import { DIRECT_TABLE } from '../overlay/entry.ts';
import { SysctlLedger } from '../sysctl/ledger.ts';
import { neededBy } from '../sysctl/needed-by.ts';
import { isOwnDevice } from '../underlay/facts.ts';

/** What agent and plugin keep in runDir; other files there are not weft's. */
const ownFiles = [
  'cni.sock',
  'subnet.env',
  'run.json',
  'lease.json',
  'ipam',
  'ipam-order',
  'attachments',
  'tombstones',
  'pods',
  'weft-podd.log',
] as const;

const families = ['ipv4', 'ipv6'] as const;

/**
 * Returns what was removed, in words.
 *
 * @throws AgentError `cleanup` while the agent or, without `force`, a pod runs; KernelError; NftError
 */
export async function cleanUpHost(options: { config: Config; force: boolean }): Promise<string[]> {
  const { config, force } = options;
  await refuseBesideAgent(config.runDir);
  const attachments = readAttachments(config.runDir);
  const rtnl = openRtnl();
  try {
    if (!force) refuseWithPods(rtnl, attachments);
    const gateways = gatewaysOf(config, force);
    return [
      ...(await removePods(config.runDir, attachments)),
      ...removeRoutes(rtnl),
      ...removeLinks(rtnl, gateways),
      ...removeFirewall(),
      ...new SysctlLedger(config.stateDir).restore(neededBy(rtnl)),
      ...removeFiles(config),
      ...removeConflist(config.stateDir),
    ];
  } finally {
    rtnl.close();
  }
}

async function refuseBesideAgent(runDir: string): Promise<void> {
  const path = join(runDir, 'cni.sock');
  const answers = await new Promise<boolean>((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
  if (!answers) return;
  throw new AgentError(
    'cleanup',
    `weftd is running and would restore everything: stop it first (systemctl stop weft-cni.socket weftd)`,
  );
}

function refuseWithPods(rtnl: Rtnl, attachments: readonly Attachment[]): void {
  const boot = readBootId();
  const there = new Map(link.links(rtnl).map(({ index, name }) => [index, name]));
  const running = attachments.filter(
    ({ bootId, host }) => bootId === boot && there.get(host.index) === host.name,
  );
  if (running.length === 0) return;
  const some = running.slice(0, 3).map(({ containerId }) => containerId.slice(0, 12));
  throw new AgentError(
    'cleanup',
    `${running.length} pods run on this node (${some.join(', ')}${running.length > 3 ? ', ...' : ''}) and ` +
      'would lose their network: drain the node first, or use --force',
  );
}

/** As their runtime would, so that all that hangs on a pod goes with it. */
async function removePods(runDir: string, attachments: readonly Attachment[]): Promise<string[]> {
  const verbs = createVerbs({ runDir });
  try {
    for (const { network, containerId, ifname } of attachments) {
      const attachment = { network, containerId, ifname };
      await verbs.del({ attachment, netns: undefined, prevResult: undefined, trace: {} });
    }
  } finally {
    verbs.close();
  }
  return attachments.map(({ containerId, ifname }) => `pod ${containerId} ${ifname}`);
}

function removeRoutes(rtnl: Rtnl): string[] {
  const found = families.flatMap((family) =>
    [route.RT_TABLE_MAIN, DIRECT_TABLE].flatMap((table) =>
      route.routes(rtnl, { family, protocol: route.RTPROT_WEFT, table }),
    ),
  );
  const rules = families.flatMap((family) => rule.ourRules(rtnl, family));
  attempt(rtnl, [...found.map(route.remove), ...rules.map(rule.remove)]);
  return [
    ...found.map((each) => `route ${route.describeRoute(each)}`),
    ...rules.map(({ priority }) => `rule ${priority}`),
  ];
}

/**
 * Our VXLAN devices, and the bridges that weft created or adopted, unless somebody else's interface is on one. A bridge
 * of this node's subnet without a mark is one of version 0.1.0 or of flannel.
 */
function removeLinks(rtnl: Rtnl, gateways: readonly Ip[]): string[] {
  const links = link.links(rtnl);
  const devices = links.filter((each) => each.vxlan && isOwnDevice(each));
  const bridges = links.filter(
    ({ kind, alias, index }) =>
      kind === 'bridge' &&
      (alias === BRIDGE_ALIAS || hasGateway(rtnl, index, gateways)) &&
      !links.some(({ master }) => master === index),
  );
  const ours = [...devices, ...bridges];
  attempt(
    rtnl,
    ours.map(({ index }) => link.remove({ index })),
  );
  return ours.map(({ name }) => `link ${name}`);
}

/** Of this node's subnets: `.1`, on the bridge, by which the bridge of an earlier boot is recognised. */
function gatewaysOf(config: Config, force: boolean): Ip[] {
  const read = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
  if (read.kind === 'unreadable' && !force) {
    throw new AgentError(
      'cleanup',
      `${read.reason}; without it the bridge of this node may not be recognised: ` +
        'restore the file, or use --force and remove the bridge by hand',
    );
  }
  return read.kind === 'read' ? read.saved.lease.subnets.map((subnet) => nthIp(subnet, 1)) : [];
}

const hasGateway = (rtnl: Rtnl, index: number, gateways: readonly Ip[]): boolean =>
  address.addresses(rtnl, { index }).some((own) => gateways.some((gateway) => sameIp(gateway, own.address)));

function removeFirewall(): string[] {
  const nfnl = openNfnl();
  try {
    return teardownFirewall(nfnl);
  } finally {
    nfnl.close();
  }
}

/** The lease stays, so what proves that it is this node's does too. */
function removeFiles({ runDir, stateDir }: Config): string[] {
  keepRun({ runDir, stateDir });
  for (const name of ownFiles) rmSync(join(runDir, name), { recursive: true, force: true });
  return [`files in ${runDir}`];
}

/** One that was edited stays. */
function removeConflist(stateDir: string): string[] {
  const path = join(conflistDirectory, conflistName);
  const outcome = teardownConflist({ directory: conflistDirectory, stateDir });
  return outcome === 'removed' ? [path] : [];
}

/** What is gone by itself meanwhile (with its link) is removed too. */
function attempt(rtnl: Rtnl, requests: Parameters<Rtnl['attempt']>[0]): void {
  for (const refusal of rtnl.attempt(requests)) {
    if (refusal && !failedWith(refusal, 'ENOENT', 'ESRCH', 'ENODEV')) throw refusal;
  }
}
