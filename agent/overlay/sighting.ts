/** A notification of routes, neighbours or forwarding entries, as what it says about an entry of ours. */
import { type Cidr, containsCidr } from '../../inet/cidr.ts';
import { fdbEntryOf } from '../../kernel/fdb.ts';
import { neighbourOf } from '../../kernel/neighbour.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE } from '../../kernel/netlink/rtnl.ts';
import { RTPROT_WEFT, routeOf } from '../../kernel/route.ts';
import { type Entry, entryOfRoute } from './entry.ts';

export interface Sighting {
  readonly entry: Entry;
  /**
   * `there`: ours stands. `gone`: ours is no more. `foreign`: somebody else's stands under its id.
   * `foreign gone`: that one is no more.
   */
  readonly what: 'there' | 'gone' | 'foreign' | 'foreign gone';
  /** The foreign route's protocol number (rtm_protocol), where it is a route. */
  readonly protocol?: number | undefined;
}

/** Undefined for what is not about the cluster's network or the device. */
export function sightingOf(
  message: NetlinkMessage,
  scope: { readonly network: Cidr; readonly deviceIndex: number | undefined },
): Sighting | undefined {
  switch (message.type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return routeSighting(message, scope.network);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return scope.deviceIndex !== undefined && message.body.readInt32LE(4) === scope.deviceIndex
        ? neighbourSighting(message)
        : undefined;
    default:
      return undefined;
  }
}

function routeSighting(message: NetlinkMessage, network: Cidr): Sighting | undefined {
  const route = routeOf(message.body);
  if (!route || !containsCidr(network, route.destination)) return undefined;
  const gone = message.type === RTM_DELROUTE;
  const ours = route.protocol === RTPROT_WEFT && route.index !== undefined;
  const what = ours ? (gone ? 'gone' : 'there') : gone ? 'foreign gone' : 'foreign';
  return { entry: entryOfRoute({ ...route, index: route.index ?? 0 }), what, protocol: route.protocol };
}

function neighbourSighting(message: NetlinkMessage): Sighting | undefined {
  const gone = message.type === RTM_DELNEIGH;
  const what = (permanent: boolean) => (gone ? 'gone' : permanent ? 'there' : 'foreign');
  const fdb = fdbEntryOf(message.body);
  if (fdb) return { entry: { kind: 'fdb', ...fdb }, what: what(fdb.permanent) };
  const neighbour = neighbourOf(message.body);
  if (!neighbour) return undefined;
  const { index, address, mac = '', permanent } = neighbour;
  return { entry: { kind: 'neighbour', index, address, mac }, what: what(permanent) };
}
