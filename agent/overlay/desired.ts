/** desired = f(peers, configuration): which entries the kernel should have, and which peers cannot have any. */
import { firstIp, networkOf } from '../../inet/cidr.ts';
import { bitsOf, formatIp } from '../../inet/ip.ts';
import { RT_TABLE_MAIN } from '../../kernel/route.ts';
import type { Steps } from '../../kernel/steps.ts';
import { deviceName } from './device.ts';
import { DIRECT_TABLE, defaultPriority, type Entry, idOf, type LinkNames } from './entry.ts';
import type { Peer, PeerPlan } from './peer.ts';
import type { OverlayState } from './state.ts';
import { unleasedRoute } from './unleased.ts';

/** The links that entries of each way are on. */
export interface EntryLinks {
  /** The VXLAN device's index; undefined where there is none (backend `direct`). */
  readonly deviceIndex: number | undefined;
  /** The underlay interface's index. */
  readonly underlayIndex: number;
  /** Another program has a route for the whole cluster network. */
  readonly foreignNetworkRoute?: boolean;
}

/** Names of links, for messages. */
export const linkNames = ({ network, backend, underlay }: OverlayState, links: EntryLinks): LinkNames =>
  new Map([
    [links.underlayIndex, underlay.name],
    ...(links.deviceIndex === undefined
      ? []
      : [[links.deviceIndex, deviceName(network.family, backend.vni)] as const]),
  ]);

export interface Desired {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Peers that get no entries, and why, in words. */
  readonly problems: readonly { readonly peer: Peer; readonly text: string }[];
  /** A direct way among them is taken without being probed. */
  readonly unproven: boolean;
}

/** What was made for a peer before, and out of what. */
interface Made {
  readonly plan: PeerPlan;
  readonly links: EntryLinks;
  readonly ids: readonly string[];
  readonly entries: readonly Entry[];
}

/** Entries of peers from earlier passes; with a peer's object its memory goes. */
export type DesiredMemory = WeakMap<Peer, Made>;

/** Entries that are no peer's. */
export const clusterEntries = ({ network, unleased }: OverlayState, links: EntryLinks): Entry[] =>
  unleased === undefined || links.foreignNetworkRoute ? [] : [unleasedRoute(network, unleased)];

/** Peers between two places where others may have their turn. */
const SOME = 64;

/**
 * With `memory`, a peer that has not changed since the pass before gets the very same objects, so that the
 * entries of thousands of peers are made once.
 */
export function* desiredEntries(
  peers: Iterable<PeerPlan>,
  links: EntryLinks,
  { memory = new WeakMap(), more = [] }: { memory?: DesiredMemory; more?: readonly Entry[] } = {},
): Steps<Desired> {
  const entries = new Map<string, Entry>(more.map((entry) => [idOf(entry), entry]));
  const problems: { peer: Peer; text: string }[] = [];
  const holders = new Map<string, Peer>();
  let unproven = false;
  let count = 0;
  for (const plan of peers) {
    unproven ||= plan.way === 'direct' && !plan.probed;
    const text = obstacle(plan, links) ?? sharedMac(plan, holders);
    if (text) problems.push({ peer: plan.peer, text });
    else {
      const made = remembered(plan, links, memory);
      for (const [i, entry] of made.entries.entries()) entries.set(made.ids[i] ?? '', entry);
    }
    if (++count % SOME === 0) yield;
  }
  return { entries, problems, unproven };
}

function remembered(plan: PeerPlan, links: EntryLinks, memory: DesiredMemory): Made {
  const known = memory.get(plan.peer);
  if (known && sameInputs(known, plan, links)) return known;
  const entries = entriesOf(plan, links);
  const made = { plan, links, ids: entries.map(idOf), entries };
  memory.set(plan.peer, made);
  return made;
}

const sameInputs = (made: Made, plan: PeerPlan, links: EntryLinks): boolean =>
  made.plan.way === plan.way &&
  made.plan.probed === plan.probed &&
  made.plan.mtuBytes === plan.mtuBytes &&
  made.links.deviceIndex === links.deviceIndex &&
  made.links.underlayIndex === links.underlayIndex;

function obstacle({ peer, way }: PeerPlan, links: EntryLinks): string | undefined {
  if (way === 'direct') return undefined;
  if (links.deviceIndex === undefined) {
    return (
      `peer ${formatIp(peer.endpoint)} is not on the underlay's network, and backend "direct" has ` +
      'no tunnel: use backend type "vxlan" or "auto"'
    );
  }
  if (peer.vtepMac === undefined) {
    return (
      `peer ${formatIp(peer.endpoint)} announces no VTEP MAC (is it a host-gw node?): it can be ` +
      'reached on the direct way only'
    );
  }
  return undefined;
}

/** One VTEP MAC on two machines (a cloned VM): the first keeps it, for frames can go to one of them only. */
function sharedMac({ peer, way, probed }: PeerPlan, holders: Map<string, Peer>): string | undefined {
  if ((way === 'direct' && !probed) || peer.vtepMac === undefined) return undefined;
  const holder = holders.get(peer.vtepMac);
  if (!holder) {
    holders.set(peer.vtepMac, peer);
    return undefined;
  }
  return (
    `peer ${formatIp(peer.endpoint)} announces VTEP MAC ${peer.vtepMac}, which ` +
    `${formatIp(holder.endpoint)} has too: was its state directory copied? Remove it on the copy and ` +
    'restart weftd there'
  );
}

function entriesOf(plan: PeerPlan, links: EntryLinks): Entry[] {
  const entries: Entry[] = [];
  // The route comes last: with it the kernel starts to use the others.
  if (plan.way === 'vxlan' || plan.probed) entries.push(...tunnelEntries(plan.peer, links));
  if (plan.probed) entries.push(...probeRoutes(plan.peer, links));
  return [...entries, routeEntry(plan, links)];
}

function tunnelEntries(peer: Peer, links: EntryLinks): Entry[] {
  const index = links.deviceIndex;
  const mac = peer.vtepMac;
  if (index === undefined || mac === undefined) return [];
  return [
    { kind: 'neighbour', index, address: firstIp(peer.subnet), mac },
    { kind: 'fdb', index, mac, destination: peer.endpoint },
  ];
}

function routeEntry({ peer, way, mtuBytes }: PeerPlan, links: EntryLinks): Entry {
  const destination = peer.subnet;
  const common = { kind: 'route', destination, mtuBytes, table: RT_TABLE_MAIN } as const;
  const priority = defaultPriority(destination);
  if (way === 'direct' || links.deviceIndex === undefined) {
    return { ...common, priority, gateway: peer.endpoint, index: links.underlayIndex, onlink: false };
  }
  return { ...common, priority, gateway: firstIp(destination), index: links.deviceIndex, onlink: true };
}

/** To the peer's end of the tunnel: through the tunnel, and for marked packets over the direct way. */
function probeRoutes(peer: Peer, links: EntryLinks): Entry[] {
  const destination = networkOf(firstIp(peer.subnet), bitsOf(peer.subnet.family));
  const priority = defaultPriority(destination);
  const common = { kind: 'route', destination, onlink: false, mtuBytes: undefined, priority } as const;
  const index = links.deviceIndex;
  return [
    ...(index === undefined ? [] : [{ ...common, gateway: undefined, index, table: RT_TABLE_MAIN }]),
    { ...common, gateway: peer.endpoint, index: links.underlayIndex, table: DIRECT_TABLE },
  ];
}
