/** What the agent knows when a pass starts, as the parts of the reconciler take it. */
import { linkByName } from '../kernel/link.ts';
import type { Rtnl } from '../kernel/netlink/rtnl.ts';
import type { DeadEnd } from '../kernel/route.ts';
import type { Config } from './config/config.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseHolder } from './lease/holder.ts';
import { deviceName } from './overlay/device.ts';
import { leastIpv6MtuBytes, podMtuBytes } from './overlay/mtu.ts';
import { type FamilyState, familyStates, type HostState } from './overlay/state.ts';
import type { TunnelRetention } from './overlay/tunnel-retention.ts';
import type { FamilyProbes } from './probe/family-probes.ts';
import type { SubnetFile } from './subnet-file/subnet-file.ts';
import type { HostUnderlay } from './underlay/host-underlay.ts';

export interface HostKnowledge {
  readonly config: Config;
  readonly rtnl: Rtnl;
  readonly identity: Identity;
  readonly holder: Pick<LeaseHolder, 'lease' | 'peers' | 'status'>;
  readonly underlay: HostUnderlay;
  readonly probes: FamilyProbes;
  readonly retention: TunnelRetention;
}

export function hostStateOf(known: HostKnowledge): HostState {
  const { config, rtnl, underlay, identity, holder, probes, retention } = known;
  const { networks } = config;
  const { type, vni, port, mtu } = config.backend;
  const tunnelStays =
    retention.stays(type) && networks.some(({ cidr }) => linkByName(rtnl, deviceName(cidr.family, vni)));
  return {
    underlayProblems: underlay.problems,
    families: familyStates({
      networks: networks.map(({ cidr }) => cidr),
      lease: holder.lease,
      vtepMacs: identity.vtepMacs,
      peers: holder.peers,
      underlayOf: (family) => underlay.of(family),
      backend: { type, tunnelStays, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
      answeringDirect: (family) => probes.answeringDirect(family),
      pathMtuBytes: (family) => probes.pathMtuBytes(family),
      unleased: unleasedOf(config, holder),
    }),
  };
}

/** Not before a whole list of peers is known, or the saved one is all there is: what is leased would be cut off. */
const unleasedOf = ({ unleased }: Config, { peers, status }: HostKnowledge['holder']): DeadEnd | undefined =>
  unleased === 'pass' || !(peers.complete || status.phase === 'away') ? undefined : unleased;

/** Whether pods reach some destinations outside the cluster with their own addresses. */
export const isUnmasqueraded = ({ masquerade }: Pick<Config, 'masquerade'>): boolean =>
  !masquerade.enabled || masquerade.except.length > 0;

/** `underlayMtuBytes`: what to go by where there is no underlay. */
export const subnetFileOf = (
  { families }: HostState,
  { networks, masquerade }: Config,
  underlayMtuBytes: number,
): SubnetFile => ({
  networks: networks.map(({ cidr }) => cidr),
  subnets: families.map(({ subnet }) => subnet),
  mtuBytes: podMtuOf(families, underlayMtuBytes),
  masquerade: masquerade.enabled,
});

/** The least of all families; but a pod with IPv6 needs the minimum of IPv6, and IPv4 cuts to what its path takes. */
function podMtuOf(families: readonly FamilyState[], underlayMtuBytes: number): number {
  const ofFamilies = families.map(({ network, underlay, backend }) =>
    podMtuBytes({
      backend,
      underlay: underlay ?? { mtuBytes: underlayMtuBytes, address: { address: network } },
    }),
  );
  const least = Math.min(...ofFamilies);
  const hasIpv6 = families.some(({ network }) => network.family === 'ipv6');
  return hasIpv6 ? Math.max(least, leastIpv6MtuBytes) : least;
}
