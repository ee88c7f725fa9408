/** The two halves of a way: what the sender's node sees, and what the receiver's does. */
import { containsIp, formatCidr } from '../../inet/cidr.ts';
import { formatIp, type Ip, keyOfIp, sameIp } from '../../inet/ip.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { type DoctorHost, subnetsOf } from '../doctor/host.ts';
import { readGuardDrops } from '../firewall/guard-drops.ts';
import { type Hop, passes, stops, unknown } from './hop.ts';
import { peerOf, walkNode } from './node-walk.ts';
import { walkPod } from './pod-walk.ts';

export interface Ends {
  readonly source: Ip;
  readonly target: Ip;
}

export const podWith = ({ pods }: Pick<DoctorHost, 'pods'>, address: Ip): Attachment | undefined =>
  pods.find(({ addresses }) => addresses.some((each) => sameIp(each.address, address)));

export const isLocal = (host: DoctorHost, address: Ip): boolean =>
  subnetsOf(host).some((subnet) => containsIp(subnet, address));

/** From the source, a pod of this node, as far as this node knows the way. */
export function sendingHalf(host: DoctorHost, { source, target }: Ends): Hop[] {
  const pod = podWith(host, source);
  const start = pod ? walkPod(host, { pod, address: source, target }) : [podless(host, source)];
  if (isLocal(host, target)) return [...start, ...arrival(host, { source, target })];
  const way = peerOf(host, target);
  if (!way) return [...start, notLeased(host, target)];
  return [...start, leaseHop(way.peer), ...walkNode(host, { ...way, target })];
}

const leaseHop = ({ name, key, subnet, endpoint }: NonNullable<ReturnType<typeof peerOf>>['peer']): Hop =>
  passes('lease', `${formatCidr(subnet)} is ${name ?? key} at ${formatIp(endpoint)}`);

/** What the receiver's node sees: from the tunnel to the pod, and the way back. */
export function receivingHalf(host: DoctorHost, { source, target }: Ends): Hop[] {
  const way = peerOf(host, source);
  const known = way
    ? passes(
        'sender',
        `${formatIp(source)} is ${way.peer.name ?? way.peer.key} at ${formatIp(way.peer.endpoint)}`,
      )
    : stops(
        'sender',
        `this node knows no peer with ${formatIp(source)}`,
        'weftctl status, weftctl node list',
      );
  return [
    known,
    ...(way ? [guardHop(host, way.peer.endpoint)] : []),
    ...arrival(host, { source, target }),
    ...(way ? walkNode(host, { ...way, target: source }).map(asWayBack) : []),
  ];
}

const asWayBack = (hop: Hop): Hop => ({ ...hop, name: `back: ${hop.name}` });

function guardHop(host: DoctorHost, endpoint: Ip): Hop {
  const dropped = readGuardDrops(host.nfnl).received.some(
    ({ address }) => keyOfIp(address) === keyOfIp(endpoint),
  );
  return dropped
    ? stops(
        'guard',
        `the tunnel's guard has dropped packets from ${formatIp(endpoint)}`,
        'weftctl doctor on this node',
      )
    : passes('guard', `lets packets from ${formatIp(endpoint)} pass`);
}

function arrival(host: DoctorHost, { source, target }: Ends): Hop[] {
  const pod = podWith(host, target);
  if (pod) return walkPod(host, { pod, address: target, target: source });
  const gateway = host.pods
    .flatMap(({ addresses }) => addresses)
    .find((each) => sameIp(each.gateway, target));
  if (gateway) return [passes('gateway', `${formatIp(target)} is this node's`)];
  return [
    stops(
      'pod',
      `no pod of this node has ${formatIp(target)}`,
      'the address is stale: ask for the pod again',
    ),
  ];
}

function podless(host: DoctorHost, source: Ip): Hop {
  return isLocal(host, source)
    ? unknown('pod', `no pod of this node has ${formatIp(source)}: the walk begins at the node`)
    : unknown('pod', `${formatIp(source)} is not of this node: the walk begins here all the same`);
}

function notLeased({ config, saved }: DoctorHost, target: Ip): Hop {
  const inside = config.networks.some(({ cidr }) => containsIp(cidr, target));
  if (!saved) return unknown('lease', 'this node has no lease yet');
  return inside
    ? stops('lease', `no node that this one knows leases ${formatIp(target)}`, 'weftctl node list')
    : stops('lease', `${formatIp(target)} is outside the pods' network: weft does not carry it`);
}
