/** `runtimeConfig`: what the runtime fills in for declared capabilities (CONVENTIONS.md of the CNI repository). */
import { formatIp, type Ip } from '../../inet/ip.ts';
import { CniError } from '../errors.ts';
import { asString, asStringMap, excerpt, Fields } from './fields.ts';
import type { Bandwidth, PortMapping, Rate } from './network.ts';
import { asIp } from './scalars.ts';

const protocols = ['tcp', 'udp', 'sctp'] as const;

/** 4 GiB in bits: the reference's limit, and that of the kernel's token bucket. */
const burstLimitBits = 2 ** 35;

/** Mappings that mean the same count once; two targets for one host port are refused. */
export function decodePortMappings(runtimeConfig: Fields): PortMapping[] {
  const mappings = runtimeConfig.list('portMappings', decodePortMapping);
  const targets = new Map<string, number>();
  // First what covers both families, so that the other one's mappings show as covered.
  const widestFirst = mappings.toSorted(
    (a, b) => Number(a.hostIp !== undefined) - Number(b.hostIp !== undefined),
  );
  const distinct = widestFirst.filter((mapping) => {
    const { hostPort, protocol, containerPort } = mapping;
    const sides = hostSidesOf(mapping);
    const conflict = sides
      .map((side) => targets.get(side))
      .find((port) => port !== undefined && port !== containerPort);
    if (conflict !== undefined) {
      throw new CniError(
        'invalid-config',
        `host port ${hostPort}/${protocol} is mapped to both ${conflict} and ${containerPort}`,
      );
    }
    const isNew = sides.some((side) => !targets.has(side));
    for (const side of sides) targets.set(side, containerPort);
    return isNew;
  });
  return mappings.filter((mapping) => distinct.includes(mapping));
}

/** The canonical form of what a mapping takes on the host: no address is every address, of both families. */
function hostSidesOf({ hostIp, hostPort, protocol }: PortMapping): string[] {
  const addresses = hostIp ? [hostIp.value === 0n ? hostIp.family : formatIp(hostIp)] : ['ipv4', 'ipv6'];
  return addresses.map((address) => `${address} ${hostPort}/${protocol}`);
}

function decodePortMapping(value: unknown, path: string): PortMapping {
  const fields = Fields.of(value, path);
  const protocolText = (fields.string('protocol') ?? 'tcp').toLowerCase();
  const protocol = protocols.find((each) => each === protocolText);
  if (!protocol) {
    throw new CniError(
      'invalid-config',
      `${fields.at('protocol')} must be ${protocols.join(', ')}, not ${excerpt(protocolText)}`,
    );
  }
  return {
    hostPort: port(fields, 'hostPort', 'host'),
    containerPort: port(fields, 'containerPort', 'container'),
    protocol,
    hostIp: hostIpOf(fields),
  };
}

function port(fields: Fields, key: string, side: string): number {
  const number = fields.integer(key) ?? 0;
  if (number < 1 || number > 65535) {
    throw new CniError('invalid-config', `Invalid ${side} port number: ${number}`);
  }
  return number;
}

function hostIpOf(fields: Fields): Ip | undefined {
  const text = fields.string('hostIP');
  return text === undefined ? undefined : asIp(text, fields.at('hostIP'));
}

export function decodeBandwidth(runtimeConfig: Fields): Bandwidth {
  const fields = runtimeConfig.object('bandwidth');
  return {
    ingress: fields && rate(fields, 'ingress'),
    egress: fields && rate(fields, 'egress'),
  };
}

/** Both the rate and the burst, or neither; zero is absent (the reference bandwidth plugin's `validateRateAndBurst`). */
function rate(fields: Fields, direction: 'ingress' | 'egress'): Rate | undefined {
  const bitsPerSecond = fields.integer(`${direction}Rate`) ?? 0;
  const burstBits = fields.integer(`${direction}Burst`) ?? 0;
  const complaint = rateComplaint(bitsPerSecond, burstBits);
  if (complaint !== undefined) {
    throw new CniError(
      'invalid-config',
      `${fields.path}: ${complaint} (${direction}Rate ${bitsPerSecond}, ${direction}Burst ${burstBits})`,
    );
  }
  return bitsPerSecond === 0 ? undefined : { bitsPerSecond, burstBits };
}

function rateComplaint(bitsPerSecond: number, burstBits: number): string | undefined {
  if (bitsPerSecond < 0 || burstBits < 0) return 'rate and burst must not be negative';
  if (bitsPerSecond > 0 && burstBits === 0) return 'if rate is set, burst must also be set';
  if (bitsPerSecond === 0 && burstBits > 0) return 'if burst is set, rate must also be set';
  if (bitsPerSecond > 0 && bitsPerSecond < 8) return 'rate must be at least 8 bits per second';
  if (burstBits >= burstLimitBits) return 'burst must be below 4 GiB';
  return undefined;
}

/** A list of names, or (podman, CRI-O) a map from network to such a list. */
export function decodeAliases(runtimeConfig: Fields, network: string): string[] {
  const value = runtimeConfig.raw('aliases');
  if (value === undefined) return [];
  if (Array.isArray(value)) return runtimeConfig.list('aliases', asString);
  const path = runtimeConfig.at('aliases');
  const entries = Object.entries(asObject(value, path)).filter(([name]) => name === network);
  return entries.flatMap(([name, names]) => Fields.of({ names }, `${path}.${name}`).list('names', asString));
}

/** A map by names that are spelled as they are. */
function asObject(value: unknown, path: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new CniError('undecodable', `${path} must be a list or an object, not ${excerpt(value)}`);
}

export function decodePodAnnotations(runtimeConfig: Fields): Record<string, string> {
  const key = 'io.kubernetes.cri.pod-annotations';
  const value = runtimeConfig.raw(key);
  return value === undefined ? {} : asStringMap(value, runtimeConfig.at(key));
}
