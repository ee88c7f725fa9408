/** Which bridges pods hang on, and what each has to be like: learned from what is on record of the pods. Pure. */
import {
  formatInterfaceAddress,
  type InterfaceAddress,
  nthIp,
  sameInterfaceAddress,
} from '../../inet/cidr.ts';
import { type Attachment, holdsMac } from '../../plugin/attach/attachment.ts';
import { contradicts } from '../../plugin/attach/bridge.ts';
import type { FamilyState } from '../overlay/state.ts';

export interface BridgeWish {
  readonly name: string;
  /** The pods' gateways that were on the bridge. */
  readonly addresses: readonly InterfaceAddress[];
  /** The host's ends of the pods' interfaces. */
  readonly ports: readonly BridgePortWish[];
}

export interface BridgePortWish {
  readonly name: string;
  readonly index: number;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  /** The MAC that the bridge forwards to this port only. */
  readonly heldMac: string | undefined;
}

/**
 * `onBridge`: whether an address belongs on the bridge of that name. A pod's gateway need not (it may be
 * somewhere else on a layer-2 network), so it takes knowledge: this node's own gateway, or one seen there.
 */
export function bridgeWishes(
  attachments: readonly Attachment[],
  onBridge: (bridge: string, address: InterfaceAddress) => boolean,
): BridgeWish[] {
  const byBridge = new Map<string, Attachment[]>();
  for (const attachment of attachments) {
    const known = byBridge.get(attachment.bridge);
    if (known) known.push(attachment);
    else byBridge.set(attachment.bridge, [attachment]);
  }
  return [...byBridge].map(([name, all]) => ({
    name,
    addresses: gatewaysOf(all).filter((address) => onBridge(name, address)),
    ports: all
      .filter(({ phase }) => phase !== 'intent')
      .map((attachment) => ({
        name: attachment.host.name,
        index: attachment.host.index,
        hairpin: attachment.hairpin,
        isolated: attachment.isolated,
        heldMac: holdsMac(attachment) ? attachment.container.mac : undefined,
      })),
  }));
}

/** Where the last pod's gateways took the place of other ones (`forceAddress`), they hold. */
function gatewaysOf(attachments: readonly Attachment[]): InterfaceAddress[] {
  const gateways = new Map<string, InterfaceAddress>();
  const newestFirst = attachments.toSorted((a, b) => (a.since < b.since ? 1 : -1));
  for (const { addresses } of newestFirst) {
    const held = [...gateways.values()];
    for (const { gateway, length } of addresses) {
      const address = { address: gateway, length };
      if (!contradicts(address, held)) gateways.set(formatInterfaceAddress(address), address);
    }
  }
  return [...gateways.values()];
}

/** Whether an address is this node's own on its pods' bridge. */
export function ownGateways(
  states: readonly Pick<FamilyState, 'subnet'>[],
): (candidate: InterfaceAddress) => boolean {
  const own = states.map(({ subnet }) => ({ address: nthIp(subnet, 1), length: subnet.length }));
  return (candidate) => own.some((gateway) => sameInterfaceAddress(gateway, candidate));
}
