/**
 * Packets that the tunnel's guard dropped, by address, as sets whose elements count. The kernel forgets an address ten
 * minutes after its last packet; of more than 256 addresses at a time the rest is dropped all the same and not counted.
 */
import type { Family, Ip } from '../../inet/ip.ts';
import { elements } from '../../kernel/nft/element.ts';
import { addressTypeOf } from '../../kernel/nft/field.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import type { SetSpec } from '../../kernel/nft/part.ts';
import type { NftSet } from '../../kernel/nft/set.ts';
import { inetTable } from '../../plugin/attach/table.ts';

const families = ['ipv4', 'ipv6'] as const satisfies readonly Family[];
const options = 'flags dynamic, timeout; timeout 10m; size 256;';

const dropSet = <F extends Family>(direction: 'received' | 'sent', family: F) =>
  ({
    ...inetTable,
    name: `dropped-${direction}-${family}`,
    key: [addressTypeOf(family)],
    options,
  }) as const satisfies NftSet & SetSpec;

/** Where VXLAN from what is no peer came from. */
export const droppedReceived = <F extends Family>(family: F) => dropSet('received', family);
/** Where VXLAN that did not come from the tunnel's device was to go. */
export const droppedSent = <F extends Family>(family: F) => dropSet('sent', family);

export const dropSets: readonly SetSpec[] = families.flatMap((family) => [
  droppedReceived(family),
  droppedSent(family),
]);

export interface GuardDrop {
  readonly address: Ip;
  readonly packets: number;
}

export interface GuardDrops {
  /** By source: packets for the tunnel from addresses that no peer has announced. */
  readonly received: readonly GuardDrop[];
  /** By destination: packets for a peer's tunnel from a process or a pod of this node. */
  readonly sent: readonly GuardDrop[];
}

/** What was dropped in the last minutes; empty where there is no guard. */
export function readGuardDrops(nfnl: Nfnl): GuardDrops {
  const of = (direction: 'received' | 'sent'): GuardDrop[] =>
    families.flatMap((family) =>
      (elements(nfnl, dropSet(direction, family)) ?? []).map(({ key: [address], packets = 0 }) => ({
        address,
        packets,
      })),
    );
  return { received: of('received'), sent: of('sent') };
}
