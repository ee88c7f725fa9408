/**
 * `weftd plan`: pending changes of this host, changing nothing. It goes by what an agent has saved of the lease and the
 * peers, so it needs no store and works beside a running agent.
 */
import { systemClock } from '../clock/clock.ts';
import { formatCidr } from '../inet/cidr.ts';
import type { Family } from '../inet/ip.ts';
import { readBootId } from '../kernel/boot.ts';
import { openRtnl, type Rtnl } from '../kernel/netlink/rtnl.ts';
import { type Route, RTPROT_WEFT, routes } from '../kernel/route.ts';
import { silentLog } from '../log/log.ts';
import { BridgesPart } from './bridge/bridges-part.ts';
import type { Config } from './config/config.ts';
import { AgentError } from './errors.ts';
import { FirewallPart } from './firewall/firewall-part.ts';
import { subnetFileOf } from './host-state.ts';
import { identityPath, readIdentity } from './identity/identity.ts';
import { readSaved } from './lease/disk/saved.ts';
import type { Lease } from './lease/lease.ts';
import { OverlayPart } from './overlay/overlay-part.ts';
import { familyStates, type HostState } from './overlay/state.ts';
import type { Part, PartPlan } from './reconcile/part.ts';
import { planParts } from './reconcile/parts.ts';
import { PodRecords } from './records.ts';
import { SubnetFilePart } from './subnet-file/subnet-file-part.ts';
import { HostUnderlay } from './underlay/host-underlay.ts';
import { UnderlayPart } from './underlay/underlay-part.ts';

/**
 * The parts that the agent keeps, each planned and none applied.
 *
 * @throws AgentError `state` where no agent has held a lease here yet
 */
export async function planHost({ config, file }: { config: Config; file: string }): Promise<PartPlan> {
  const read = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
  if (read.kind === 'absent') throw noLease(config);
  if (read.kind === 'unreadable') throw new AgentError('state', read.reason);
  const { saved } = read;
  const end = new AbortController();
  const rtnl = openRtnl();
  try {
    const underlay = await HostUnderlay.find({
      config: () => config,
      file,
      rtnl,
      announced: saved.lease.publicIps,
      readOnly: true,
      log: silentLog,
      signal: end.signal,
    });
    const host = hostStateOf({ config, lease: saved.lease, peers: saved.peers, underlay, rtnl });
    const records = new PodRecords(config.runDir);
    const parts: Part<HostState>[] = [
      new UnderlayPart(),
      ...config.networks.map(({ cidr: { family } }) => new OverlayPart({ rtnl, family })),
      new BridgesPart({ rtnl, records }),
      new FirewallPart({
        masquerade: () => (config.masquerade.enabled ? config.masquerade : undefined),
        pods: () => records.pods,
        onDamage: () => undefined,
        signal: end.signal,
      }),
      new SubnetFilePart({
        runDir: config.runDir,
        fileOf: (state) => subnetFileOf(state, config, underlay.mtuBytes),
      }),
    ];
    return await planParts(parts, host);
  } finally {
    end.abort();
    rtnl.close();
  }
}

const noLease = ({ stateDir }: Config): AgentError =>
  new AgentError(
    'state',
    `${stateDir} holds no lease: this node has no subnet yet, so there is nothing to plan; start weftd`,
  );

/** The saved peers are a whole list. */
function hostStateOf(known: {
  config: Config;
  lease: Lease;
  peers: readonly Lease[];
  underlay: HostUnderlay;
  rtnl: Rtnl;
}): HostState {
  const { config, lease, peers, underlay, rtnl } = known;
  const { type, vni, port, mtu } = config.backend;
  const leases = new Map(peers.map((peer) => [peer.key, peer]));
  const identity = readIdentity(identityPath(config.stateDir));
  if (!identity) throw noLease(config);
  const routed = (family: Family) => routesByPeer(rtnl, family, leases.values());
  const families = familyStates({
    networks: config.networks.map(({ cidr }) => cidr),
    lease,
    vtepMacs: identity.vtepMacs,
    peers: { leases, complete: true, problems: [] },
    underlayOf: (family) => underlay.of(family),
    backend: { type, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
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
