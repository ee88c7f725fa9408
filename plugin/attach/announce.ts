/**
 * Who had a pod's address before may have left neighbour entries behind, on the host and in its siblings,
 * that lead nowhere for 9-20 s. The cure is an announcement that really goes out: the kernel makes one when an
 * interface's MAC is set, be it to what it is (arp_notify, ndisc_notify; net/ipv4/devinet.c and
 * net/ipv6/ndisc.c, NETDEV_CHANGEADDR), but it is lost unless both ends transmit and the port forwards.
 *
 * They do so when the kernel's link watch has seen the carrier, which is a work queue's business. Asking for a
 * link makes it look at once (`rtnl_getlink` calls `linkwatch_sync_dev`, since Linux 6.8); on older kernels the
 * question is repeated.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatInterfaceAddress, type InterfaceAddress } from '../../inet/cidr.ts';
import { sameIp, solicitedNodeGroup } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import { BR_STATE_FORWARDING, isOperational, portStateOf } from '../../kernel/link-message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { CniError } from '../errors.ts';
import type { Attachment } from './attachment.ts';
import type { EnsuredBridge } from './bridge.ts';
import type { Host } from './host.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * The port and the groups take milliseconds unless the machine is short of time, duplicate address detection 1-2 s
 * (RFC 4862, section 5.4).
 */
const WAIT_MS = 10_000;

/** Waits until the pod's packets pass the bridge, then announces its addresses. */
export async function announce(
  host: Host,
  options: { attachment: Attachment; sandbox: Sandbox; bridge: EnsuredBridge },
): Promise<void> {
  const { attachment, sandbox, bridge } = options;
  await settled('bridge port in error state', () => passes(host, attachment, bridge));
  if (attachment.addresses.length === 0) return;
  const { index, mac } = attachment.container;
  sandbox.rtnl.execute([link.set({ index, mac })]);
}

/**
 * True once the port forwards and the bridge, which has a carrier only since its first port has, transmits. A
 * port that spanning tree holds back, for half a minute, is not waited for: such a bridge is not ours.
 */
function passes(host: Host, { host: { index, name } }: Attachment, bridge: EnsuredBridge): boolean {
  const { outcomes, replies } = host.rtnl.exchange([link.get(index), link.get(bridge.index)]);
  const refused = outcomes.find((outcome) => outcome);
  if (failedWith(refused, 'ENODEV')) {
    throw new CniError('try-again-later', `${name} or its bridge vanished while it was being set up`);
  }
  if (refused) throw refused;
  const [port, itself] = replies;
  const state = port && portStateOf(port);
  if (state === BR_STATE_FORWARDING) return itself !== undefined && isOperational(itself);
  return state === BR_STATE_LISTENING || state === BR_STATE_LEARNING;
}

const BR_STATE_LISTENING = 1;
const BR_STATE_LEARNING = 2;

/**
 * Waits until neighbours' questions for the pod's IPv6 addresses, and the bridge's, are heard: the kernel joins the
 * groups they are sent to in a work queue, and whoever asks before that asks again after a second (RFC 4861).
 */
export async function settleGroups(
  host: Host,
  options: { attachment: Attachment; sandbox: Sandbox; bridge: EnsuredBridge },
): Promise<void> {
  const { attachment, sandbox, bridge } = options;
  const links = [
    { rtnl: sandbox.rtnl, index: attachment.container.index, addresses: attachment.addresses },
    { rtnl: host.rtnl, index: bridge.index, addresses: bridge.addresses },
  ];
  await settled('the kernel does not listen for an IPv6 address', () => links.every(isHeard));
}

function isHeard({ rtnl, index, addresses }: GroupedLink): boolean {
  const wanted = addresses.filter((each) => each.address.family === 'ipv6');
  if (wanted.length === 0) return true;
  const joined = address.ipv6Groups(rtnl, index);
  return wanted.every((each) => joined.some((group) => sameIp(group, solicitedNodeGroup(each.address))));
}

interface GroupedLink {
  readonly rtnl: Rtnl;
  readonly index: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** Waits until the kernel has found the pod's IPv6 addresses to be nobody else's. */
export async function settleDad(options: { attachment: Attachment; sandbox: Sandbox }): Promise<void> {
  const { index } = options.attachment.container;
  await settled('duplicate address detection does not end', () => {
    const ours = address.addresses(options.sandbox.rtnl, { index });
    const duplicate = ours.find(({ duplicate }) => duplicate);
    if (duplicate) {
      throw new CniError(
        'address-not-available',
        `${formatInterfaceAddress(duplicate)} is in use by another host on the link (duplicate address detection)`,
      );
    }
    return ours.every(({ tentative }) => !tentative);
  });
}

/** Asks, first at once and then less and less often. `otherwise`: what is wrong if it does not come to be. */
async function settled(otherwise: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS;
  for (let pauseMs = 0.2; !isSo(); pauseMs = Math.min(pauseMs * 2, 100)) {
    if (performance.now() > deadlineMs) {
      throw new CniError('try-again-later', `${otherwise}: waited ${WAIT_MS} ms`);
    }
    await sleep(pauseMs);
  }
}
