/** A notification of routes, neighbours or forwarding entries, as what it says about an entry of ours. */
import type { Cidr } from '../../inet/cidr.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE } from '../../kernel/netlink/rtnl.ts';
import type { Entry } from './entry.ts';
import { foundNeighbour, foundRoute, type Known } from './found.ts';

export interface Sighting {
  readonly id: string;
  readonly entry: Entry;
  /**
   * `there`: ours stands. `gone`: ours is no more. `foreign`: somebody else's stands under its id.
   * `foreign gone`: that one is no more.
   */
  readonly what: 'there' | 'gone' | 'foreign' | 'foreign gone';
  /** The foreign route's protocol number (rtm_protocol), where it is a route. */
  readonly protocol?: number | undefined;
}

export interface SightingScope {
  readonly network: Cidr;
  readonly deviceIndex: number | undefined;
}

/** Undefined for what is not about the cluster's network or the device. */
export function sightingOf(
  message: NetlinkMessage,
  scope: SightingScope,
  known: Known = () => undefined,
): Sighting | undefined {
  const { type, body } = message;
  switch (type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = foundRoute(body, scope.network, known);
      if (!route) return undefined;
      const gone = type === RTM_DELROUTE;
      const what = route.ours ? (gone ? 'gone' : 'there') : gone ? 'foreign gone' : 'foreign';
      return { ...route, what };
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      if (scope.deviceIndex === undefined || body.readInt32LE(4) !== scope.deviceIndex) return undefined;
      const found = foundNeighbour(body, known);
      if (!found) return undefined;
      return { ...found, what: type === RTM_DELNEIGH ? 'gone' : found.ours ? 'there' : 'foreign' };
    }
    default:
      return undefined;
  }
}
