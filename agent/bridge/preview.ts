/** Pending changes of the pods' bridges, as text. Changes nothing. */
import { addresses } from '../../kernel/address.ts';
import { heldMacs } from '../../kernel/fdb.ts';
import { links } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { FamilyState } from '../overlay/state.ts';
import type { PartPlan } from '../reconcile/part.ts';
import { bridgeNamed } from './bridge-named.ts';
import { planBridge } from './plan.ts';
import { type BridgeWish, bridgeWishes, ownGateways } from './wish.ts';

export function previewBridges(
  rtnl: Rtnl,
  attachments: readonly Attachment[],
  families: readonly FamilyState[],
): PartPlan {
  const isOwn = ownGateways(families);
  const steps: string[] = [];
  const problems: string[] = [];
  for (const wish of bridgeWishes(attachments, (_, address) => isOwn(address))) {
    try {
      steps.push(...previewBridge(rtnl, wish));
    } catch (error) {
      problems.push(`bridge ${wish.name}: ${reasonOf(error)}`);
    }
  }
  return { steps, problems };
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
  return [...(found ? [] : [`${wish.name}: create`]), ...steps.map(({ text }) => text)];
}
