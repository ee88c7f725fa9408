/** Taking away what an attachment's record speaks of, in whatever state it is. */
import * as link from '../../kernel/link.ts';
import * as neighbour from '../../kernel/neighbour.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { AttachmentKey } from '../protocol/request.ts';
import { type Attachment, isHere } from './attachment.ts';
import type { Host } from './host.ts';
import { hostEndOf } from './host-end.ts';
import type { Owner } from './owner.ts';
import { wishesIn } from './step.ts';

/**
 * Undoes an attachment, complete or not, any number of times. What steps made goes while the interface does; the
 * addresses are freed last, once the interface that has them is gone.
 */
export async function teardown(host: Host, attachment: Attachment): Promise<void> {
  if (attachment.bootId === host.bootId && isHere(attachment)) {
    const outcomes = await Promise.allSettled([
      teardownPair(host, attachment),
      teardownSteps(host, attachment),
    ]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  } else if (attachment.bootId === host.bootId) {
    // Indexes mean other links here; names follow from the key alone.
    await teardownLost(host, attachment);
    await teardownInterface(host, attachment.host.name);
  }
  releaseAddresses(host, attachment);
}

async function teardownSteps(host: Host, attachment: Attachment): Promise<void> {
  const wishes = wishesIn(attachment);
  for (const step of host.steps.toReversed()) {
    if (wishes.includes(step.wish)) await step.teardown(attachment);
  }
}

/** The index that ADD has chosen and written down saves asking for it. */
async function teardownPair(host: Host, attachment: Attachment): Promise<void> {
  const { phase, host: end } = attachment;
  const index = phase === 'intent' ? hostEndOf(host.rtnl, attachment)?.index : end.index;
  if (index !== undefined) await host.removeLinks([index], neighboursOf(host, attachment));
}

/** Removes the host's end by its name, which is ours alone; the pod's end goes with it. */
export async function teardownInterface(host: Host, name: string): Promise<void> {
  const found = link.linkByName(host.rtnl, name);
  if (found) await host.removeLinks([found.index]);
}

/** The host's entries for the addresses: else the next pod with one would be looked for at this one's MAC. */
function neighboursOf(host: Host, { bridge, addresses }: Attachment): NetlinkRequest[] {
  if (addresses.length === 0) return [];
  const index = host.bridgeIndex(bridge);
  if (index === undefined) return [];
  return addresses.map(({ address }) => neighbour.remove({ index, address }));
}

export function releaseAddresses(host: Host, attachment: Attachment): void {
  const store = host.addresses(attachment.network, attachment.hostLocalDir);
  for (const { address } of attachment.addresses) store.release(address, attachment);
}

/**
 * The same for what a record on disk speaks of: a call that was killed may have had addresses that it did not
 * come to write down, and a record that lost its end may stand for more than it says.
 */
export async function teardownRecorded(host: Host, attachment: Attachment): Promise<void> {
  if (attachment.phase === 'intent' && attachment.bootId === host.bootId && isHere(attachment))
    await teardownLost(host, attachment);
  await teardown(host, attachment);
  if (attachment.phase === 'intent') releaseHeld(host, attachment, attachment.hostLocalDir);
}

/** What steps made for a pod, by its name alone. */
export async function teardownLost(host: Host, pod: Owner): Promise<void> {
  for (const step of host.steps.toReversed()) await step.teardownLost(pod);
}

/** Frees whatever addresses say that they are this attachment's. */
export function releaseHeld(host: Host, key: AttachmentKey, hostLocalDir: string): void {
  host.addresses(key.network, hostLocalDir).releaseAll(key);
}
