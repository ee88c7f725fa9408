/**
 * `weftd plan`: what the agent would change on this host now, changing nothing. It goes by what an agent has saved
 * of the lease and the peers, so it needs no store and works beside a running agent.
 */
import { systemClock } from '../clock/clock.ts';
import { formatCidr } from '../inet/cidr.ts';
import type { Family } from '../inet/ip.ts';
import { readBootId } from '../kernel/boot.ts';
import { openRtnl, type Rtnl } from '../kernel/netlink/rtnl.ts';
import { openNfnl } from '../kernel/nft/nfnetlink.ts';
import { type Route, RTPROT_WEFT, routes } from '../kernel/route.ts';
import { previewBridges } from './bridge/preview.ts';
import type { Config } from './config/config.ts';
import { AgentError } from './errors.ts';
import { Firewall } from './firewall/firewall.ts';
import { desiredFirewall } from './firewall/keep.ts';
import { identityPath, readIdentity } from './identity/identity.ts';
import { readSaved } from './lease/disk/saved.ts';
import type { Lease } from './lease/lease.ts';
import { previewOverlay } from './overlay/preview.ts';
import { type OverlayState, overlayStates } from './overlay/state.ts';
import { PodRecords } from './records.ts';
import type { Underlay } from './underlay/choose.ts';
import { findUnderlay } from './underlay/find-underlay.ts';
import { underlayPart } from './underlay/follow.ts';

export interface HostPlan {
  /** One step a line; empty where all stands as it should. */
  readonly steps: readonly string[];
  /** What could not be had. */
  readonly problems: readonly string[];
}

/**
 * @throws AgentError `state` where no agent has held a lease here yet, `underlay`; KernelError; NftError
 */
export async function planHost({ config, file }: { config: Config; file: string }): Promise<HostPlan> {
  const read = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
  if (read.kind === 'absent') throw noLease(config);
  if (read.kind === 'unreadable') throw new AgentError('state', read.reason);
  const { saved } = read;
  const rtnl = openRtnl();
  const nfnl = openNfnl();
  try {
    const underlay = await findUnderlay({ config, file, rtnl, known: saved.lease.publicIps });
    const states = statesOf({ config, lease: saved.lease, peers: saved.peers, underlay, rtnl });
    const records = new PodRecords(config.runDir);
    const masquerade = config.masquerade.enabled ? config.masquerade : undefined;
    const previews = [
      ...states.map((state) => previewOverlay(rtnl, state)),
      previewBridges(rtnl, records.attachments, states),
    ];
    const firewall = new Firewall(nfnl).plan({ ...desiredFirewall(states, masquerade), pods: records.pods });
    return {
      steps: [...previews.flatMap(({ steps }) => steps), ...firewall],
      problems: previews.flatMap(({ problems }) => problems),
    };
  } finally {
    rtnl.close();
    nfnl.close();
  }
}

const noLease = ({ stateDir }: Config): AgentError =>
  new AgentError(
    'state',
    `${stateDir} holds no lease: this node has no subnet yet, so there is nothing to plan; start weftd`,
  );

/** The saved peers are a whole list. */
function statesOf(known: {
  config: Config;
  lease: Lease;
  peers: readonly Lease[];
  underlay: Underlay;
  rtnl: Rtnl;
}): OverlayState[] {
  const { config, lease, peers, underlay, rtnl } = known;
  const { type, vni, port, mtu } = config.backend;
  const leases = new Map(peers.map((peer) => [peer.key, peer]));
  const identity = readIdentity(identityPath(config.stateDir));
  if (!identity) throw noLease(config);
  const routed = (family: Family) => routesByPeer(rtnl, family, leases.values());
  return overlayStates({
    networks: config.networks.map(({ cidr }) => cidr),
    lease,
    vtepMacs: identity.vtepMacs,
    peers: { leases, complete: true, problems: [] },
    underlayOf: (family) => underlayPart(underlay, family),
    backend: { type, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
    // What only a running agent finds out is taken from what it did.
    answeringDirect: (family) =>
      new Set([...routed(family)].filter(([, { index }]) => index === underlay.index).map(([key]) => key)),
    pathMtuBytes: (family) =>
      new Map(
        [...routed(family)].flatMap(([key, { mtuBytes }]) =>
          mtuBytes === undefined ? [] : [[key, mtuBytes]],
        ),
      ),
  });
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
