/** What an agent would do to the pods' bridges, in words, doing nothing. */
import { addresses } from '../../kernel/address.ts';
import { heldMacs } from '../../kernel/fdb.ts';
import { links } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Preview } from '../overlay/preview.ts';
import type { OverlayState } from '../overlay/state.ts';
import { bridgeNamed } from './keep.ts';
import { planBridge } from './plan.ts';
import { type BridgeWish, bridgeWishes, ownGateways } from './wish.ts';

export function previewBridges(
  rtnl: Rtnl,
  attachments: readonly Attachment[],
  states: readonly OverlayState[],
): Preview {
  const isOwn = ownGateways(states);
  try {
    const wishes = bridgeWishes(attachments, (_, address) => isOwn(address));
    return { steps: wishes.flatMap((wish) => previewBridge(rtnl, wish)), problems: [] };
  } catch (error) {
    return { steps: [], problems: [`the pods' bridges as they should be: ${reasonOf(error)}`] };
  }
}

function previewBridge(rtnl: Rtnl, wish: BridgeWish): string[] {
  const found = bridgeNamed(rtnl, wish.name);
  const bridge = found ?? { index: 0, up: true, mac: undefined };
  const steps = planBridge(wish, bridge.mac, {
    bridge,
    addresses: found ? addresses(rtnl, { index: found.index }) : [],
    links: links(rtnl),
    held: found ? heldMacs(rtnl, found.index) : [],
  });
  return [...(found ? [] : [`${wish.name}: made anew`]), ...steps.map(({ text }) => text)];
}
