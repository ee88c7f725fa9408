/**
 * Who is in the lab, with which addresses, and the `ip -batch` lines that make it so. Pure.
 *
 * Nodes hang on one bridge per subnet, all in the *fabric* namespace, which is also every node's default
 * gateway and the only way from one subnet to another. The gateway blackholes the cluster's network: only the
 * overlay can carry a pod's packet, and a lost packet cannot come back by way of the default route.
 * Beyond the gateway is "the world": two addresses on its loopback device.
 */
import type { Family } from '../inet/ip.ts';
import { LabError } from './errors.ts';
import { controlPlane, fabric, netnsName } from './names.ts';

export const maxNodes = 150;
export const maxSubnets = 16;
/** Where etcd lives; the nodes' subnets count from 1. */
const storeSegment = 0;

export interface TopologyOptions {
  readonly lab: string;
  readonly nodes: number;
  readonly subnets: number;
  readonly families: readonly Family[];
  /** Members of etcd; 0 where the store is another. */
  readonly etcdMembers?: number;
  /** Whether there is a host beside the nodes for Kubernetes' control plane. */
  readonly controlPlane?: boolean;
}

export interface Member {
  /** `node-1` */
  readonly name: string;
  readonly segment: number;
  /** With the length of the subnet: `192.168.188.101/24`; one per family. */
  readonly addresses: readonly string[];
}

export interface Topology {
  readonly lab: string;
  readonly families: readonly Family[];
  readonly segments: readonly number[];
  readonly nodes: readonly Member[];
  /** In a subnet of their own. */
  readonly etcd: readonly Member[];
  /** In the first subnet, so that it can have routes to the pods by way of their nodes. */
  readonly controlPlane?: Member;
}

/** What pods' addresses come from, per family. */
export const clusterNetwork: Readonly<Record<Family, string>> = {
  ipv4: '10.244.0.0/16',
  ipv6: 'fd00:10:244::/48',
};

/** Addresses beyond the gateway, by which tests and people see what leaves the cluster. */
export const world: Readonly<Record<Family, string>> = { ipv4: '203.0.113.1', ipv6: '2001:db8:113::1' };

const segmentPrefix: Readonly<Record<Family, (segment: number) => string>> = {
  ipv4: (segment) => `192.168.${187 + segment}.`,
  ipv6: (segment) => `fd00:192:168:${187 + segment}::`,
};
const segmentLength: Readonly<Record<Family, number>> = { ipv4: 24, ipv6: 64 };

const gateway = (family: Family, segment: number): string => `${segmentPrefix[family](segment)}1`;

const addressOf = (family: Family, segment: number, host: number): string =>
  `${segmentPrefix[family](segment)}${host}/${segmentLength[family]}`;

/** Nodes go to the subnets in turn: with two subnets, node-1 and node-3 are neighbours. */
export function planTopology(options: TopologyOptions): Topology {
  checkCount('nodes', options.nodes, maxNodes);
  checkCount('subnets', options.subnets, Math.min(maxSubnets, options.nodes));
  const addresses = (segment: number, host: number): string[] =>
    options.families.map((family) => addressOf(family, segment, host));
  const etcd = upTo(options.etcdMembers ?? 0).map((number) => ({
    name: `etcd-${number}`,
    segment: storeSegment,
    addresses: addresses(storeSegment, 10 + number),
  }));
  return {
    lab: options.lab,
    families: options.families,
    segments: [...(etcd.length > 0 ? [storeSegment] : []), ...upTo(options.subnets)],
    etcd,
    ...(options.controlPlane
      ? { controlPlane: { name: controlPlane, segment: 1, addresses: addresses(1, 10) } }
      : {}),
    nodes: upTo(options.nodes).map((number) => {
      const segment = ((number - 1) % options.subnets) + 1;
      return { name: `node-${number}`, segment, addresses: addresses(segment, 100 + number) };
    }),
  };
}

/** 1, 2, ... */
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** A combination that cannot work is refused before anything is made. */
export function checkBackend(backend: string, subnets: number): void {
  if (backend === 'direct' && subnets > 1) {
    throw new LabError(
      `--backend direct needs nodes on one layer-2 network, not on ${subnets}: use auto or vxlan, or --subnets 1`,
    );
  }
}

function checkCount(what: string, count: number, most: number): void {
  if (!Number.isInteger(count) || count < 1 || count > most) {
    throw new LabError(`--${what} ${count}: give a whole number from 1 to ${most}`);
  }
}

/** Everybody with a cable. */
export const members = (topology: Topology): Member[] => [
  ...topology.nodes,
  ...topology.etcd,
  ...(topology.controlPlane ? [topology.controlPlane] : []),
];

/** `192.168.188.101/24` without its length. */
export const plainAddress = (address: string): string => address.slice(0, address.indexOf('/'));

/** Run on the host: the network namespaces. */
export const namespaceLines = (topology: Topology): string[] =>
  [fabric, ...members(topology).map(({ name }) => name)].map(
    (member) => `netns add ${netnsName(topology.lab, member)}`,
  );

/** Run in the fabric: bridges, a cable to each node (the far end is the node's `eth0`), gateway, world. */
export function fabricLines(topology: Topology): string[] {
  const lines = ['link set lo up'];
  for (const family of topology.families) {
    lines.push(`address add ${world[family]}/${family === 'ipv4' ? 32 : 128} dev lo`);
    lines.push(`route add blackhole ${clusterNetwork[family]}`);
  }
  for (const segment of topology.segments) {
    lines.push(`link add segment-${segment} up type bridge`);
    for (const family of topology.families) {
      lines.push(
        `address add ${gateway(family, segment)}/${segmentLength[family]} dev segment-${segment} ${nodad(family)}`,
      );
    }
  }
  for (const member of members(topology)) lines.push(...cableLines(topology, member));
  return lines;
}

/** Run in the fabric: the cable of one member. */
export const cableLines = (topology: Topology, { name, segment }: Member): string[] => [
  `link add ${name} up master segment-${segment} type veth peer name eth0 netns ${netnsName(topology.lab, name)}`,
];

/** Run at the member: its end of the cable. */
export function memberLines(topology: Topology, member: Member): string[] {
  const lines = ['link set lo up', 'link set eth0 up'];
  topology.families.forEach((family, i) => {
    lines.push(`address add ${member.addresses[i]} dev eth0 ${nodad(family)}`);
    lines.push(`route add default via ${gateway(family, member.segment)}`);
  });
  return lines;
}

/** Duplicate detection would delay an IPv6 address by a second, and no other interface has it. */
const nodad = (family: Family): string => (family === 'ipv6' ? 'nodad' : '');
