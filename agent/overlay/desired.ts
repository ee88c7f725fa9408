/** desired = f(peers, configuration): which entries the kernel should have, and which peers cannot have any. */
import { firstIp } from '../../inet/cidr.ts';
import { formatIp } from '../../inet/ip.ts';
import { defaultPriority, type Entry, idOf } from './entry.ts';
import type { Peer, Way } from './peer.ts';

/** Where entries of each way go. */
export interface Ground {
  /** The VXLAN device's index; undefined where there is none (backend `direct`). */
  readonly deviceIndex: number | undefined;
  /** The underlay interface's index. */
  readonly underlayIndex: number;
}

export interface PeerPlan {
  readonly peer: Peer;
  readonly way: Way;
  /** The largest packet that the path to the peer takes, where it is less than the link's. */
  readonly mtuBytes: number | undefined;
}

export interface Desired {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Peers that get no entries, and why, in words. */
  readonly problems: readonly { readonly peer: Peer; readonly text: string }[];
}

export function desiredEntries(peers: Iterable<PeerPlan>, ground: Ground): Desired {
  const entries = new Map<string, Entry>();
  const problems: { peer: Peer; text: string }[] = [];
  const holders = new Map<string, Peer>();
  for (const plan of peers) {
    const text = obstacle(plan, ground) ?? sharedMac(plan, holders);
    if (text) problems.push({ peer: plan.peer, text });
    else for (const entry of entriesOf(plan, ground)) entries.set(idOf(entry), entry);
  }
  return { entries, problems };
}

function obstacle({ peer, way }: PeerPlan, ground: Ground): string | undefined {
  if (way === 'direct') return undefined;
  if (ground.deviceIndex === undefined) {
    return `peer ${formatIp(peer.endpoint)} is not on the underlay's network, and backend "direct" has no tunnel: use backend type "vxlan" or "auto"`;
  }
  if (peer.vtepMac === undefined) {
    return `peer ${formatIp(peer.endpoint)} announces no VTEP MAC (is it a host-gw node?): it can be reached on the direct way only`;
  }
  return undefined;
}

/** One VTEP MAC on two machines (a cloned VM): the first keeps it, for frames can go to one of them only. */
function sharedMac({ peer, way }: PeerPlan, holders: Map<string, Peer>): string | undefined {
  if (way === 'direct' || peer.vtepMac === undefined) return undefined;
  const holder = holders.get(peer.vtepMac);
  if (!holder) {
    holders.set(peer.vtepMac, peer);
    return undefined;
  }
  return `peer ${formatIp(peer.endpoint)} announces VTEP MAC ${peer.vtepMac}, which ${formatIp(holder.endpoint)} has too: was its state directory copied? Remove it on the copy and restart weftd there`;
}

function entriesOf({ peer, way, mtuBytes }: PeerPlan, ground: Ground): Entry[] {
  const priority = defaultPriority(peer.subnet);
  const common = { kind: 'route', destination: peer.subnet, mtuBytes, priority } as const;
  if (way === 'direct') {
    return [{ ...common, gateway: peer.endpoint, index: ground.underlayIndex, onlink: false }];
  }
  const index = ground.deviceIndex ?? 0;
  const mac = peer.vtepMac ?? '';
  const gateway = firstIp(peer.subnet);
  // The route comes last: with it the kernel starts to use the other two.
  return [
    { kind: 'neighbour', index, address: gateway, mac },
    { kind: 'fdb', index, mac, destination: peer.endpoint },
    { ...common, gateway, index, onlink: true },
  ];
}
