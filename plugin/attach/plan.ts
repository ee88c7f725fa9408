/** What an ADD is to make, as far as configuration and lease decide it. Pure. */
import { everything, sameInterfaceAddress } from '../../inet/cidr.ts';
import type { Family, Ip } from '../../inet/ip.ts';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from '../../kernel/address.ts';
import type { Route } from '../../kernel/route.ts';
import type { NetworkConfig, RangeSet } from '../protocol/network.ts';
import { wholeSubnet } from '../protocol/ranges.ts';
import type { CniRoute } from '../protocol/result.ts';
import type { AttachmentAddress } from './attachment.ts';
import type { NodeSubnets } from './lease.ts';

/** What Linux gives a link that nobody gave an MTU. */
const DEFAULT_MTU_BYTES = 1500;

export interface AddPlan {
  /** One address is taken from each. */
  readonly sets: readonly RangeSet[];
  readonly mtuBytes: number;
  /** Undefined: the bridge keeps what it has. */
  readonly bridgeMtuBytes: number | undefined;
}

/** `lease` is undefined unless the configuration takes its addresses from the leased subnet. */
export function planOf(config: NetworkConfig, lease: NodeSubnets | undefined): AddPlan {
  const mtuBytes = config.bridge.mtuBytes ?? lease?.mtuBytes;
  return {
    sets: rangeSetsOf(config, lease),
    mtuBytes: mtuBytes ?? DEFAULT_MTU_BYTES,
    bridgeMtuBytes: mtuBytes,
  };
}

/** The sets that an address is taken from each. */
export function rangeSetsOf(
  { addressing, cniVersion }: NetworkConfig,
  lease: NodeSubnets | undefined,
): readonly RangeSet[] {
  if (addressing.kind === 'none') return [];
  if (addressing.kind === 'ranges') return addressing.sets;
  if (!lease) throw new RangeError(`a leased subnet is asked for (CNI ${cniVersion}), and none was given`);
  return lease.subnets.map(({ subnet, gateway }) => [{ ...wholeSubnet(subnet), gateway }]);
}

/** The bridge's addresses: the gateways of all ranges, for the next pod's address may come from any of them. */
export function gatewaysOf(sets: readonly RangeSet[], config: NetworkConfig): AttachmentAddress[] {
  if (!config.bridge.isGateway) return [];
  const gateways = sets
    .flat()
    .map(({ gateway, subnet }) => ({ address: gateway, length: subnet.length, gateway }));
  return gateways.filter((each, i) => gateways.findIndex((other) => sameInterfaceAddress(each, other)) === i);
}

/**
 * The pod's routes beyond those to its own subnets, as the result shows them: what the configuration lists, and
 * the default route of each family unless one with a next hop is listed (reference bridge plugin, `cmdAdd`).
 */
export function resultRoutes(
  config: NetworkConfig,
  options: { addresses: readonly AttachmentAddress[]; lease: NodeSubnets | undefined },
): CniRoute[] {
  const listed = config.addressing.kind === 'none' ? [] : [...config.addressing.routes];
  const routes = listed.map((route) => ({ ...route }));
  for (const family of familiesOf(options.addresses)) {
    const gw = gatewayOf(options.addresses, family);
    if (config.bridge.isDefaultGateway) {
      const dst = everything(family);
      const i = routes.findIndex((route) => isDefault(route, family));
      if (i < 0) routes.push({ dst, gw });
      else if (!routes[i]?.gw) routes.splice(i, 1, { ...routes[i], dst, gw });
    } else {
      // Without a default route the pod would not find the other nodes' pods.
      const network = options.lease?.subnets.find(({ subnet }) => subnet.family === family)?.network;
      if (network) routes.push({ dst: network, gw });
    }
  }
  return routes;
}

/** A result's route as the kernel is asked for it. */
export function kernelRoute(
  route: CniRoute,
  pod: { index: number; addresses: readonly AttachmentAddress[] },
): Route {
  return {
    destination: route.dst,
    gateway: route.gw ?? (isOnLink(route) ? undefined : gatewayOf(pod.addresses, route.dst.family)),
    index: pod.index,
    scope: route.scope,
    priority: route.priority,
    table: route.table,
    mtuBytes: route.mtu,
    advmssBytes: route.advmss,
  };
}

/** A route that reaches no further than the link has no next hop. */
const isOnLink = ({ scope = RT_SCOPE_UNIVERSE }: CniRoute): boolean => scope >= RT_SCOPE_LINK;

export const familiesOf = (addresses: readonly AttachmentAddress[]): Family[] =>
  (['ipv4', 'ipv6'] as const).filter((family) => addresses.some(({ address }) => address.family === family));

const gatewayOf = (addresses: readonly AttachmentAddress[], family: Family): Ip | undefined =>
  addresses.find(({ address }) => address.family === family)?.gateway;

const isDefault = ({ dst }: CniRoute, family: Family): boolean => dst.family === family && dst.length === 0;
