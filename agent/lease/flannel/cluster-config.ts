/**
 * The cluster's configuration in the store, `config`: flannel's JSON (flannel pkg/subnet/config.go), read with
 * flannel's defaults and written with as little as flannel needs.
 */
import {
  type Cidr,
  containsCidr,
  containsIp,
  firstIp,
  formatCidr,
  lastIp,
  networkOf,
  parseCidr,
} from '../../../inet/cidr.ts';
import { bitsOf, type Family, formatIp, type Ip, parseIp } from '../../../inet/ip.ts';
import { field, isObject, parseObject } from '../../../json/object.ts';
import type { Config } from '../../config/config.ts';
import { LeaseError } from '../errors.ts';
import type { LeaseNetwork } from '../lease.ts';
import { backendTypePattern } from './value.ts';

export const configKey = 'config';

export interface ClusterConfig {
  /** IPv4 first. */
  readonly networks: readonly ClusterRange[];
  readonly backend: ClusterBackend;
}

/** A family's network and which part of it is handed out. */
export interface ClusterRange extends LeaseNetwork {
  /** The first and last subnet to hand out, by their network addresses. */
  readonly subnetMin: Ip;
  readonly subnetMax: Ip;
}

/** What is missing is left to the nodes. */
export interface ClusterBackend {
  /** flannel's name: `vxlan`, or `host-gw` for `direct`. */
  readonly type?: string;
  readonly vni?: number;
  readonly port?: number;
}

/** flannel's range: the first subnet of the network is left out. */
export function defaultRange(network: LeaseNetwork): ClusterRange {
  const { cidr, subnetLength } = network;
  const step = 1n << BigInt(bitsOf(cidr.family) - subnetLength);
  return {
    cidr,
    subnetLength,
    subnetMin: { family: cidr.family, value: cidr.base + step },
    subnetMax: firstIp(networkOf(lastIp(cidr), subnetLength)),
  };
}

/** What weft.yaml says of the cluster. `auto` is a way of sending: its records are VXLAN's. */
export function clusterConfigOf(config: Pick<Config, 'networks' | 'backend'>): ClusterConfig {
  const { type, vni, port } = config.backend;
  const backend = { type: type === 'direct' ? 'host-gw' : 'vxlan', vni, port };
  return { networks: config.networks.map(defaultRange), backend };
}

export function encodeClusterConfig(config: ClusterConfig): string {
  const object: Record<string, unknown> = {};
  const v4 = config.networks.find(({ cidr }) => cidr.family === 'ipv4');
  if (!v4) object.EnableIPv4 = false;
  for (const range of config.networks) {
    const v6 = range.cidr.family === 'ipv6';
    const usual = defaultRange(range);
    if (v6) object.EnableIPv6 = true;
    object[v6 ? 'IPv6Network' : 'Network'] = formatCidr(range.cidr);
    object[v6 ? 'IPv6SubnetLen' : 'SubnetLen'] = range.subnetLength;
    if (range.subnetMin.value !== usual.subnetMin.value) {
      object[v6 ? 'IPv6SubnetMin' : 'SubnetMin'] = formatIp(range.subnetMin);
    }
    if (range.subnetMax.value !== usual.subnetMax.value) {
      object[v6 ? 'IPv6SubnetMax' : 'SubnetMax'] = formatIp(range.subnetMax);
    }
  }
  const { type, vni, port } = config.backend;
  if (type !== undefined) object.Backend = { Type: type, VNI: vni, Port: port };
  return JSON.stringify(object);
}

/** Throws `LeaseError` `cluster-config`, naming `where`, the field and the remedy. */
export function decodeClusterConfig(value: string, where: string): ClusterConfig {
  const object = parseObject(value);
  if (!object) throw fault(where, 'it is not a JSON object');
  const networks: ClusterRange[] = [];
  if (field(object, 'EnableIPv4') !== false) networks.push(decodeRange(object, 'ipv4', where));
  if (field(object, 'EnableIPv6') === true) networks.push(decodeRange(object, 'ipv6', where));
  if (networks.length === 0) throw fault(where, 'neither EnableIPv4 nor EnableIPv6 is true');
  return { networks, backend: decodeClusterBackend(field(object, 'Backend'), where) };
}

function decodeRange(object: Record<string, unknown>, family: Family, where: string): ClusterRange {
  const v6 = family === 'ipv6';
  const name = v6 ? 'IPv6Network' : 'Network';
  const text = field(object, name);
  const cidr = typeof text === 'string' ? parseCidr(text) : undefined;
  if (cidr?.family !== family) throw fault(where, `${name} is not an ${v6 ? 'IPv6' : 'IPv4'} network`);
  const lengthName = v6 ? 'IPv6SubnetLen' : 'SubnetLen';
  const given = field(object, lengthName) ?? 0;
  // flannel's rule for what is not given: 24 (64), or two bits more than a network too long for that.
  const usual = v6 ? 64 : 24;
  const subnetLength = given === 0 ? (cidr.length > usual - 2 ? cidr.length + 2 : usual) : given;
  if (
    typeof subnetLength !== 'number' ||
    !Number.isInteger(subnetLength) ||
    subnetLength < cidr.length + 1 ||
    subnetLength > bitsOf(family) - 2
  ) {
    throw fault(where, `${lengthName} does not fit ${formatCidr(cidr)}`);
  }
  const range = defaultRange({ cidr, subnetLength });
  const bound = (which: 'Min' | 'Max', fallback: Ip): Ip => {
    const boundName = v6 ? `IPv6Subnet${which}` : `Subnet${which}`;
    const boundText = field(object, boundName);
    if (boundText === undefined || boundText === null || boundText === '') return fallback;
    const ip = typeof boundText === 'string' ? parseIp(boundText) : undefined;
    if (!ip || !containsIp(cidr, ip)) throw fault(where, `${boundName} is not in ${formatCidr(cidr)}`);
    return firstIp(networkOf(ip, subnetLength));
  };
  const bounded = {
    ...range,
    subnetMin: bound('Min', range.subnetMin),
    subnetMax: bound('Max', range.subnetMax),
  };
  if (bounded.subnetMin.value > bounded.subnetMax.value) throw fault(where, 'SubnetMin is above SubnetMax');
  return bounded;
}

function decodeClusterBackend(value: unknown, where: string): ClusterBackend {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw fault(where, 'Backend is not an object');
  const type = field(value, 'Type');
  if (type !== undefined && typeof type !== 'string') throw fault(where, 'Backend.Type is not a string');
  if (type !== undefined && !backendTypePattern.test(type)) {
    throw fault(where, 'Backend.Type is not the name of a backend');
  }
  const number = (name: string): number | undefined => {
    const found = field(value, name);
    if (found === undefined || found === 0) return undefined;
    if (typeof found !== 'number' || !Number.isInteger(found)) {
      throw fault(where, `Backend.${name} is not a whole number`);
    }
    return found;
  };
  const vni = number('VNI');
  const port = number('Port');
  return {
    ...(type === undefined ? {} : { type }),
    ...(vni === undefined ? {} : { vni }),
    ...(port === undefined ? {} : { port }),
  };
}

/**
 * How what a node is configured with contradicts the cluster's configuration, one line for each field;
 * empty where it does not. What one of the two leaves open is no contradiction.
 */
export function contradictions(
  local: { readonly networks: readonly LeaseNetwork[]; readonly backend: ClusterBackend },
  cluster: ClusterConfig,
): readonly string[] {
  const found: string[] = [];
  const text = (network: LeaseNetwork | undefined): string =>
    network ? `${formatCidr(network.cidr)} in /${network.subnetLength}` : 'nothing';
  for (const family of ['ipv4', 'ipv6'] as const) {
    const [ours, theirs] = [local.networks, cluster.networks].map((networks) =>
      text(networks.find(({ cidr }) => cidr.family === family)),
    );
    if (ours !== theirs) found.push(`${family} network: ${ours} here, ${theirs} in the cluster`);
  }
  for (const name of ['type', 'vni', 'port'] as const) {
    const [ours, theirs] = [local.backend[name], cluster.backend[name]];
    if (ours !== undefined && theirs !== undefined && ours !== theirs) {
      found.push(`backend ${name}: ${ours} here, ${theirs} in the cluster`);
    }
  }
  return found;
}

/** Whether these are subnets of the cluster's networks, one per family; they may be outside the range handed out. */
export function belongs(subnets: readonly Cidr[], config: ClusterConfig): boolean {
  return (
    subnets.length === config.networks.length &&
    config.networks.every((range) => subnets.some((subnet) => containsCidr(range.cidr, subnet)))
  );
}

/** Why a subnet that a node holds would not be handed out under this configuration; undefined if it would. */
export function rangeFault(subnets: readonly Cidr[], config: ClusterConfig): string | undefined {
  if (fits(subnets, config)) return undefined;
  const ranges = config.networks.map(({ cidr, subnetLength, subnetMin, subnetMax }) => {
    return `/${subnetLength} from ${formatIp(subnetMin)} to ${formatIp(subnetMax)} in ${formatCidr(cidr)}`;
  });
  return `the cluster configuration now hands out ${ranges.join(' and ')}`;
}

/** Whether a node may hold these subnets under this configuration. */
export function fits(subnets: readonly Cidr[], config: ClusterConfig): boolean {
  return (
    subnets.length === config.networks.length &&
    config.networks.every((range) =>
      subnets.some(
        (subnet) =>
          containsCidr(range.cidr, subnet) &&
          subnet.length === range.subnetLength &&
          subnet.base >= range.subnetMin.value &&
          subnet.base <= range.subnetMax.value,
      ),
    )
  );
}

const fault = (where: string, reason: string): LeaseError =>
  new LeaseError('cluster-config', `${where}: ${reason}; correct it, or write it with weftctl cluster init`);
