/**
 * The veth pair of an attachment: one send for the host's end, one for the pod's. Both indexes are of our own
 * choosing, so that nothing needs to be looked up; the peer comes into being in the pod's namespace under its
 * final name; both MACs are explicit, or udev may change them (systemd.link(5), MACAddressPolicy).
 */

import * as address from '../../kernel/address.ts';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import * as fdb from '../../kernel/fdb.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import * as newLink from '../../kernel/new-link.ts';
import * as route from '../../kernel/route.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import { CniError } from '../errors.ts';
import type { CniRoute } from '../protocol/result.ts';
import { type Attachment, holdsMac } from './attachment.ts';
import { type BridgeWish, type EnsuredBridge, ensureBridge } from './bridge.ts';
import type { Host } from './host.ts';
import { aliasOf } from './names.ts';
import { kernelRoute } from './plan.ts';
import type { Sandbox } from './sandbox.ts';

/** `lo` has index 1 in every namespace (LOOPBACK_IFINDEX, linux/net_namespace.h). */
const loopbackUp = link.set({ index: 1, up: true });

/**
 * A veth end hands packets over on the CPU that sends them, without a lock, whatever the number of its queues; but
 * each queue has objects in sysfs that take a third of the time the pair takes, and more on more CPUs.
 */
const QUEUES = 1;

/** Indexes and the bridge may have to be chosen anew; each such attempt has a reason that the next one lacks. */
const ATTEMPTS = 4;

/**
 * Makes the pair; the bridge too if it is not there any more. Resolves to the bridge, and to the attachment
 * with the indexes that its ends got in the end.
 *
 * @throws CniError interface-exists where the pod has an interface of that name.
 */
export async function ensurePair(
  host: Host,
  options: { attachment: Attachment; sandbox: Sandbox; bridge: BridgeWish },
): Promise<{ bridge: EnsuredBridge; attachment: Attachment }> {
  let { attachment } = options;
  for (let attempt = 1; ; attempt++) {
    const bridge = ensureBridge(host.rtnl, options.bridge);
    host.bridges.set(bridge.name, bridge.index);
    const refusals = host.rtnl.attempt([
      bridge.refresh,
      ...pairRequests({ ...options, attachment, bridge }),
      ...bridge.keep,
    ]);
    const [bridgeGone] = refusals;
    const refused = refusals.find((refusal) => refusal);
    if (!refused) return { bridge, attachment };
    if (attempt === ATTEMPTS) throw refused;
    attachment = await recover(host, { ...options, attachment, refused, bridgeGone });
  }
}

/** Makes another attempt promising, or throws what refused the last one. */
async function recover(
  host: Host,
  failure: {
    attachment: Attachment;
    sandbox: Sandbox;
    refused: KernelError;
    bridgeGone: KernelError | undefined;
  },
): Promise<Attachment> {
  const { attachment, sandbox, refused } = failure;
  if (failedWith(failure.bridgeGone, 'ENODEV')) {
    // The pair may have come into being without its bridge.
    await teardownPair(host, attachment);
    return attachment;
  }
  if (failedWith(refused, 'EEXIST')) {
    if (link.linkByName(sandbox.rtnl, attachment.ifname)) throw interfaceExists(attachment.ifname);
    // A host's end of this name is ours by its name alone: what a call left behind whose record is lost.
    if (await teardownPair(host, attachment)) return attachment;
  }
  if (failedWith(refused, 'EBUSY', 'EEXIST')) return withNewIndexes(attachment);
  throw refused;
}

export const interfaceExists = (ifname: string, details?: string): CniError =>
  new CniError('interface-exists', `container veth name provided (${ifname}) already exists`, details);

const withNewIndexes = (attachment: Attachment): Attachment => ({
  ...attachment,
  host: { ...attachment.host, index: newLink.chooseIndex() },
  container: { ...attachment.container, index: newLink.chooseIndex() },
});

async function teardownPair(host: Host, attachment: Attachment): Promise<boolean> {
  const left = link.linkByName(host.rtnl, attachment.host.name);
  if (left) await host.removeLinks([left.index]);
  return left !== undefined;
}

function pairRequests(options: {
  attachment: Attachment;
  sandbox: Sandbox;
  bridge: EnsuredBridge;
}): NetlinkRequest[] {
  const { attachment, sandbox, bridge } = options;
  const { host, container, mtuBytes, hairpin, isolated } = attachment;
  const port = { ...(hairpin ? { hairpin } : {}), ...(isolated ? { isolated } : {}) };
  return [
    newLink.veth({
      ...host,
      mtuBytes,
      queues: QUEUES,
      master: bridge.index,
      up: true,
      peer: { ...container, name: attachment.ifname, mtuBytes, queues: QUEUES, netnsFd: sandbox.netns.fd },
    }),
    link.set({ index: host.index, alias: aliasOf(attachment) }),
    ...(hairpin || isolated ? [link.setPort({ index: host.index, ...port })] : []),
    ...(holdsMac(attachment) ? [fdb.hold({ port: host.index, mac: container.mac })] : []),
  ];
}

export interface PodWish {
  readonly attachment: Attachment;
  readonly routes: readonly CniRoute[];
  /** The interface stays down. */
  readonly disabled: boolean;
  /** IPv6 addresses are tried for duplicates before they are used. */
  readonly enableDad: boolean;
}

/** Puts up what is inside the pod: loopback, interface, addresses, routes. */
export function ensurePod(sandbox: Sandbox, wish: PodWish): void {
  const { attachment, enableDad } = wish;
  const { index } = attachment.container;
  if (attachment.addresses.length > 0) {
    const hasIpv6 = attachment.addresses.some(({ address: { family } }) => family === 'ipv6');
    sandbox.run(() => {
      refuseAdvertisements(attachment.ifname);
      if (hasIpv6) ensureIpv6Settings(attachment.ifname, enableDad);
    });
  }
  const made = [
    loopbackUp,
    ...(wish.disabled ? [] : [link.set({ index, up: true, ipv4Conf: announcing })]),
    ...attachment.addresses.map((each) => address.add({ ...each, index, noDad: !enableDad })),
  ];
  const routes = wish.routes.map((each) => kernelRoute(each, { index, addresses: attachment.addresses }));
  // The question is there so that it can send at once: see announce.ts.
  const refusals = sandbox.rtnl.attempt([...made, ...routes.map(route.addBesides), link.get(index)]);
  for (const [i, refusal] of refusals.entries()) {
    const isRoute = i >= made.length && i < made.length + routes.length;
    // Another interface of the pod, or the configuration twice, may lead the same way.
    if (refusal && !(isRoute && failedWith(refusal, 'EEXIST'))) throw isRoute ? unusable(refusal) : refusal;
  }
}

const unusable = ({ message }: KernelError): CniError =>
  new CniError('invalid-config', `the kernel refuses a route of the configuration: ${message}`);

/** The kernel announces the interface's addresses whenever its MAC is set. */
const announcing = new Map([[link.IPV4_DEVCONF_ARP_NOTIFY, 1]]);

/**
 * A pod with addresses of ours takes no others, and no routes, from router advertisements: any neighbour could send one
 * (CVE-2020-10749). A layer-2 network may be configured by them.
 */
function refuseAdvertisements(ifname: string): void {
  for (const key of ['accept_ra', 'autoconf']) ensureSysctl(`net/ipv6/conf/${ifname}/${key}`, '0');
}

/**
 * IPv6 may be switched off by default in a pod, and its settings have no netlink. A kernel without IPv6 has none
 * of these and then refuses the address itself.
 */
function ensureIpv6Settings(ifname: string, enableDad: boolean): void {
  const settings = {
    'conf/lo/disable_ipv6': '0',
    [`conf/${ifname}/disable_ipv6`]: '0',
    [`conf/${ifname}/keep_addr_on_down`]: '1',
    [`conf/${ifname}/ndisc_notify`]: '1',
    ...(enableDad ? {} : { [`conf/${ifname}/accept_dad`]: '0' }),
  };
  for (const [key, value] of Object.entries(settings)) ensureSysctl(`net/ipv6/${key}`, value);
}
