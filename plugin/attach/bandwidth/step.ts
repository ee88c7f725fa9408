/**
 * Shaping: what a pod receives waits in a token bucket on the host's end of its veth pair; what it sends is
 * handed to a device of its own (ifb) as it arrives there, waits in that one's bucket, and goes on as if it had
 * just come.
 *
 * Putting a discipline on a link that is up blocks for an RCU grace period, so that is done off the main thread.
 */
import * as link from '../../../kernel/link.ts';
import type { LinkRemover } from '../../../kernel/link-removal.ts';
import type { NetlinkRequest } from '../../../kernel/netlink/message.ts';
import { openRtnl, type Rtnl } from '../../../kernel/netlink/rtnl.ts';
import * as newLink from '../../../kernel/new-link.ts';
import * as tc from '../../../kernel/tc.ts';
import { CniError } from '../../errors.ts';
import type { Attachment } from '../attachment.ts';
import { type Owner, ownerOf } from '../owner.ts';
import type { Step } from '../step.ts';
import { bucketOf, sameBucket } from './bucket.ts';

export interface BandwidthGround {
  /** A socket of the host's namespace. */
  readonly rtnl: Rtnl;
  readonly removeLinks: LinkRemover['remove'];
}

export function bandwidthStep(ground: BandwidthGround): Step {
  return {
    wish: 'bandwidth',
    ensure: (attachment) => ensureBuckets(ground, attachment),
    teardown: (attachment) => removeDevice(ground, attachment),
    teardownLost: (pod) => removeDevice(ground, pod),
    verify: (attachment) => verifyBuckets(ground, attachment),
    sweep: async (network, live) => {
      const prefix = aliasOf({ network, host: { name: '' } });
      const devices = link
        .links(ground.rtnl)
        .filter(({ kind, alias }) => kind === 'ifb' && alias?.startsWith(prefix));
      const alive = new Set(live().map(aliasOf));
      const stale = devices.filter(({ alias = '' }) => !alive.has(alias));
      if (stale.length > 0) await ground.removeLinks(stale.map(({ index }) => index));
    },
  };
}

/** The buckets on the host's end go with it. */
async function removeDevice({ rtnl, removeLinks }: BandwidthGround, pod: Owner): Promise<void> {
  const device = link.linkByName(rtnl, deviceOf(pod));
  if (device) await removeLinks([device.index]);
}

/** `vethX` has `ifbX`: at most 15 bytes as well. */
const deviceOf = ({ host }: Owner): string => host.name.replace(/^veth/, 'ifb');

/** Not the pair's own alias: GC takes a link that has that, and no record, for a lost host end. */
const aliasOf = (pod: Owner): string => `shaping ${ownerOf(pod)}`;

async function ensureBuckets({ rtnl }: BandwidthGround, attachment: Attachment): Promise<void> {
  const host = link.linkByName(rtnl, attachment.host.name);
  if (!host) throw new CniError('internal', `${attachment.host.name} vanished while it was being shaped`);
  const { ingress, egress } = attachment.bandwidth;
  const requests: NetlinkRequest[] = [];
  if (ingress) requests.push(tc.tokenBucket({ index: host.index, ...bucketOf(ingress, host.mtuBytes) }));
  if (egress) {
    const device = ensureDevice(rtnl, attachment, host);
    requests.push(tc.tokenBucket({ index: device, ...bucketOf(egress, host.mtuBytes) }));
    requests.push(link.set({ index: device, up: true }), tc.arrivals(host.index));
    const target = tc.redirectionOf(rtnl, host.index);
    if (target !== undefined && target !== device) requests.push(tc.unredirectArrivals(host.index));
    if (target !== device) requests.push(tc.redirectArrivals({ index: host.index, to: device }));
  }
  const own = openRtnl();
  try {
    await own.executeAsync(requests);
  } finally {
    own.close();
  }
}

/** The device's index. It is not up yet when it is made, so that its bucket costs no grace period. */
function ensureDevice(rtnl: Rtnl, attachment: Attachment, host: link.Link): number {
  const name = deviceOf(attachment);
  const found = link.linkByName(rtnl, name);
  if (found) return found.index;
  const index = newLink.chooseIndex();
  rtnl.execute([
    newLink.ifb({ name, index, mtuBytes: host.mtuBytes }),
    link.set({ index, alias: aliasOf(attachment) }),
  ]);
  return index;
}

function verifyBuckets({ rtnl }: BandwidthGround, attachment: Attachment): void {
  const host = link.linkByName(rtnl, attachment.host.name);
  if (!host) throw amiss(`${attachment.host.name} does not exist`);
  const { ingress, egress } = attachment.bandwidth;
  if (ingress) verifyBucket(rtnl, host, bucketOf(ingress, host.mtuBytes));
  if (!egress) return;
  const device = link.linkByName(rtnl, deviceOf(attachment));
  if (!device?.up) throw amiss(`${deviceOf(attachment)} ${device ? 'is down' : 'does not exist'}`);
  verifyBucket(rtnl, device, bucketOf(egress, host.mtuBytes));
  if (tc.redirectionOf(rtnl, host.index) !== device.index) {
    throw amiss(`what arrives on ${host.name} is not handed to ${device.name}`);
  }
}

function verifyBucket(rtnl: Rtnl, { index, name }: link.Link, wanted: tc.TokenBucket): void {
  const root = tc.qdiscs(rtnl, index).find(({ parent }) => parent === tc.TC_H_ROOT);
  if (!root?.tokenBucket || !sameBucket(wanted, root.tokenBucket)) {
    throw amiss(`${name} is not limited to ${wanted.bytesPerSecond} bytes per second`);
  }
}

const amiss = (message: string): CniError => new CniError('check-failed', `bandwidth: ${message}`);
