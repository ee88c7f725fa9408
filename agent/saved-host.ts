/**
 * The host as an agent saved it: lease, peers and identity from stateDir, the underlay and the routes from the kernel.
 * For commands that run beside an agent, or without one; they need no store.
 */
import { systemClock } from '../clock/clock.ts';
import { formatCidr } from '../inet/cidr.ts';
import type { Family } from '../inet/ip.ts';
import { readBootId } from '../kernel/boot.ts';
import { openRtnl, type Rtnl } from '../kernel/netlink/rtnl.ts';
import { type Route, RTPROT_WEFT, routes } from '../kernel/route.ts';
import { silentLog } from '../log/log.ts';
import type { Config } from './config/config.ts';
import { AgentError } from './errors.ts';
import { type Identity, identityPath, readIdentity } from './identity/identity.ts';
import { readSaved } from './lease/disk/saved.ts';
import type { Lease } from './lease/lease.ts';
import type { SavedLease } from './lease/protocol/standing.ts';
import { familyStates, type HostState } from './overlay/state.ts';
import { HostUnderlay } from './underlay/host-underlay.ts';

export interface SavedHost {
  readonly saved: SavedLease;
  readonly identity: Identity;
  readonly rtnl: Rtnl;
  readonly underlay: HostUnderlay;
  readonly host: HostState;
  /** Aborts when the block has ended. */
  readonly signal: AbortSignal;
}

/**
 * Hands it to a block, and closes what was opened.
 *
 * @throws NoLeaseError; AgentError `state` where what the agent saved is unreadable; KernelError
 */
export async function withSavedHost<T>(
  { config, file }: { readonly config: Config; readonly file: string },
  block: (host: SavedHost) => Promise<T>,
): Promise<T> {
  const read = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
  if (read.kind === 'absent') throw new NoLeaseError(config);
  if (read.kind === 'unreadable') throw new AgentError('state', read.reason);
  const { saved } = read;
  const identity = readIdentity(identityPath(config.stateDir));
  if (!identity) throw new NoLeaseError(config);
  const end = new AbortController();
  const { signal } = end;
  const rtnl = openRtnl();
  try {
    const underlay = await HostUnderlay.find({
      config: () => config,
      file,
      announced: saved.lease.publicIps,
      readOnly: true,
      log: silentLog,
      signal,
    });
    const host = hostStateOf({ config, saved, identity, underlay, rtnl });
    return await block({ saved, identity, rtnl, underlay, host, signal });
  } finally {
    end.abort();
    rtnl.close();
  }
}

/** No agent has held a lease with this stateDir. */
export class NoLeaseError extends AgentError {
  constructor({ stateDir }: Config) {
    super('state', `no subnet lease in ${stateDir}: start weftd ("systemctl start weftd")`);
  }
}

/** The saved peers are a whole list. */
function hostStateOf(known: {
  config: Config;
  saved: SavedLease;
  identity: Identity;
  underlay: HostUnderlay;
  rtnl: Rtnl;
}): HostState {
  const { config, saved, identity, underlay, rtnl } = known;
  const { lease, peers } = saved;
  const { type, vni, port, mtu } = config.backend;
  const leases = new Map(peers.map((peer) => [peer.key, peer]));
  const routed = (family: Family) => routesByPeer(rtnl, family, leases.values());
  const families = familyStates({
    networks: config.networks.map(({ cidr }) => cidr),
    lease,
    vtepMacs: identity.vtepMacs,
    peers: { leases, complete: true, problems: [] },
    underlayOf: (family) => underlay.of(family),
    backend: { type, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
    unleased: config.unleased === 'pass' ? undefined : config.unleased,
    // What only a running agent finds out is taken from the routes that it set.
    answeringDirect: (family) =>
      new Set(
        [...routed(family)].filter(([, { index }]) => index === underlay.current?.index).map(([key]) => key),
      ),
    pathMtuBytes: (family) =>
      new Map(
        [...routed(family)].flatMap(([key, { mtuBytes }]) =>
          mtuBytes === undefined ? [] : [[key, mtuBytes]],
        ),
      ),
  });
  return { families, underlayProblems: underlay.problems };
}

/** Our route to each peer's subnet, where there is one. */
function routesByPeer(rtnl: Rtnl, family: Family, peers: Iterable<Lease>): Map<string, Route> {
  const found = routes(rtnl, { family, protocol: RTPROT_WEFT });
  const bySubnet = new Map(found.map((route) => [formatCidr(route.destination), route]));
  const byPeer = new Map<string, Route>();
  for (const { key, subnets } of peers) {
    for (const subnet of subnets) {
      const route = subnet.family === family ? bySubnet.get(formatCidr(subnet)) : undefined;
      if (route) byPeer.set(key, route);
    }
  }
  return byPeer;
}
