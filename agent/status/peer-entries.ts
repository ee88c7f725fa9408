/** Whether the kernel has what each peer needs: a decision over desired entries and the dataplane, peer by peer. */

import { linkByName } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { atOnce } from '../../kernel/steps.ts';
import { desiredEntries } from '../overlay/desired.ts';
import { deviceName, hasTunnel } from '../overlay/device.ts';
import type { Entry } from '../overlay/entry.ts';
import type { Peer, Way } from '../overlay/peer.ts';
import { stepFor } from '../overlay/plan.ts';
import { dataplaneEntries } from '../overlay/read-dataplane.ts';
import type { OverlayState } from '../overlay/state.ts';
import { peerPlans } from '../overlay/ways.ts';

export interface PeerEntries {
  readonly peer: Peer;
  readonly way: Way;
  /** The largest packet to the peer in bytes, where it is less than the pods' MTU. */
  readonly mtuBytes: number | undefined;
  /** What is wrong in the kernel, such as `route missing`; empty: all entries are as desired. */
  readonly faults: readonly string[];
}

const nouns = { route: 'route', neighbour: 'neighbour entry', fdb: 'FDB entry' } as const;

/** Reads the dataplane of one family and compares it with what each peer needs. */
export function peerEntries(rtnl: Rtnl, state: OverlayState): PeerEntries[] {
  const device = hasTunnel(state.backend) ? deviceName(state.network.family, state.backend.vni) : undefined;
  const deviceIndex = device === undefined ? undefined : linkByName(rtnl, device)?.index;
  const dataplane = dataplaneEntries(rtnl, { network: state.network, deviceIndex });
  const links = {
    deviceIndex: device === undefined ? undefined : (deviceIndex ?? 0),
    underlayIndex: state.underlay.index,
  };
  const plans = [...peerPlans(state)];
  const problems = new Map(
    atOnce(desiredEntries(plans, links)).problems.map(({ peer, text }) => [peer, text]),
  );
  const lacksDevice = device !== undefined && deviceIndex === undefined;
  return plans.map((plan) => ({
    peer: plan.peer,
    way: plan.way,
    mtuBytes: plan.mtuBytes,
    faults: faultsOf({
      problem: problems.get(plan.peer),
      missingDevice: lacksDevice && plan.way === 'vxlan' ? device : undefined,
      desired: atOnce(desiredEntries([plan], links)).entries,
      dataplane,
    }),
  }));
}

export function faultsOf(seen: {
  /** Why the peer gets no entries. */
  readonly problem: string | undefined;
  readonly missingDevice: string | undefined;
  /** Of this peer. */
  readonly desired: ReadonlyMap<string, Entry>;
  readonly dataplane: ReadonlyMap<string, Entry>;
}): string[] {
  if (seen.problem !== undefined) return [seen.problem];
  // Without the device none of the entries can exist, and saying so for each hides the cause.
  if (seen.missingDevice !== undefined) return [`device ${seen.missingDevice} missing`];
  const found = [...seen.desired.keys()].flatMap((id) => stepFor(id, seen.desired, seen.dataplane) ?? []);
  return [
    ...new Set(
      found.map(({ entry, verb }) => `${nouns[entry.kind]} ${verb === 'add' ? 'missing' : 'wrong'}`),
    ),
  ];
}
