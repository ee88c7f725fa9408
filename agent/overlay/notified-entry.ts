/** A notification of a route, neighbour or forwarding entry, as a change of one of weft's entries. */
import type { Cidr } from '../../inet/cidr.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE } from '../../kernel/netlink/rtnl.ts';
import type { Entry } from './entry.ts';
import { type Known, kernelNeighbour, kernelRoute } from './kernel-entry.ts';

export interface NotifiedEntry {
  readonly id: string;
  readonly entry: Entry;
  /**
   * `there`: weft's entry exists. `gone`: it was removed. `foreign`: another program's entry has its id.
   * `foreign gone`: that entry was removed.
   */
  readonly what: 'there' | 'gone' | 'foreign' | 'foreign gone';
  /** The foreign route's protocol number (rtm_protocol), where it is a route. */
  readonly protocol?: number | undefined;
}

export interface NotifiedScope {
  readonly network: Cidr;
  readonly deviceIndex: number | undefined;
}

/** Undefined for notifications that concern neither the cluster network nor the device. */
export function notifiedEntry(
  message: NetlinkMessage,
  scope: NotifiedScope,
  known: Known = () => undefined,
): NotifiedEntry | undefined {
  const { type, body } = message;
  switch (type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = kernelRoute(body, scope.network, known);
      if (!route) return undefined;
      const gone = type === RTM_DELROUTE;
      const what = route.ours ? (gone ? 'gone' : 'there') : gone ? 'foreign gone' : 'foreign';
      return { ...route, what };
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      if (scope.deviceIndex === undefined || body.readInt32LE(4) !== scope.deviceIndex) return undefined;
      const found = kernelNeighbour(body, known);
      if (!found) return undefined;
      return { ...found, what: type === RTM_DELNEIGH ? 'gone' : found.ours ? 'there' : 'foreign' };
    }
    default:
      return undefined;
  }
}
