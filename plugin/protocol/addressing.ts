/** The `ipam` section and the addresses a caller asks for, decoded into `Addressing`. */
import { type Family, type Ip, sameIp } from '../../inet/ip.ts';
import { CniError } from '../errors.ts';
import type { CniArgs } from './cni-args.ts';
import type { Fields } from './fields.ts';
import type { Addressing, RangeSet } from './network.ts';
import { checkRangeSets, decodeRange, decodeRangeSets } from './ranges.ts';
import { decodeRoute } from './routes.ts';
import { asRequestedIp } from './scalars.ts';
import { atLeast, type CniVersion } from './version.ts';

/** Where host-local keeps its allocations unless told otherwise. */
const hostLocalDefaultDir = '/var/lib/cni/networks';

export interface AddressingInput {
  readonly version: CniVersion;
  readonly network: Fields;
  readonly runtimeConfig: Fields | undefined;
  /** The configuration's `args.cni`. */
  readonly configArgs: Fields | undefined;
  readonly cniArgs: CniArgs;
}

export function decodeAddressing(input: AddressingInput): Addressing {
  const addressing = ofSection(input);
  if (addressing.kind === 'ranges') checkRangeSets(addressing.sets);
  if (addressing.kind === 'none' && requestedOf(input).length > 0) {
    throw new CniError(
      'invalid-config',
      'addresses are requested, but the network gives none: remove the request, or give it an ipam section',
    );
  }
  if (!atLeast(input.version, '0.3.0')) checkLegacyResult(addressing, input.version);
  return addressing;
}

function ofSection(input: AddressingInput): Addressing {
  const { network, runtimeConfig } = input;
  const ipam = network.object('ipam');
  const type = ipam?.string('type');
  if (ipam && type === undefined && !holdsRanges(ipam)) return { kind: 'none' };
  if (!ipam && network.boolean('disableContainerInterface')) return { kind: 'none' };
  if (type !== undefined && type !== 'host-local' && type !== 'weft') {
    throw new CniError(
      'unsupported-field',
      `ipam.type ${JSON.stringify(type)} is not supported: weft allocates itself, from ranges (host-local) or from the node's leased subnet (weft, or no ipam)`,
    );
  }
  const options = {
    routes: ipam?.list('routes', decodeRoute) ?? [],
    resolvConf: resolvConfOf(ipam),
    hostLocalDir: ipam?.string('dataDir') ?? hostLocalDefaultDir,
    requested: requestedOf(input),
  };
  const runtimeSets = decodeRangeSets(runtimeConfig?.raw('ipRanges') ?? [], 'runtimeConfig.ipRanges');
  if (ipam && type !== 'weft') {
    const sets = [...runtimeSets, ...configuredSets(ipam)];
    if (sets.length === 0) throw new CniError('invalid-config', 'no IP ranges specified');
    return { kind: 'ranges', sets, ...options };
  }
  if (ipam && holdsRanges(ipam)) {
    throw new CniError(
      'invalid-config',
      'ipam.type weft takes its range from the lease: remove ranges and subnet, or use type host-local',
    );
  }
  // A runtime that names ranges wants addresses out of them, whatever the node has leased.
  if (runtimeSets.length > 0) return { kind: 'ranges', sets: runtimeSets, ...options };
  return { kind: 'lease', ...options };
}

const holdsRanges = (ipam: Fields): boolean =>
  ipam.raw('ranges') !== undefined || ipam.raw('subnet') !== undefined;

/** host-local's: the old flat `subnet` is set 0, then `ranges`. */
function configuredSets(ipam: Fields): RangeSet[] {
  const flat: RangeSet[] = ipam.string('subnet') === undefined ? [] : [[decodeRange(ipam)]];
  return [...flat, ...decodeRangeSets(ipam.raw('ranges') ?? [], ipam.at('ranges'))];
}

function resolvConfOf(ipam: Fields | undefined): string | undefined {
  const path = ipam?.string('resolvConf');
  if (path !== undefined && !path.startsWith('/')) {
    throw new CniError(
      'invalid-config',
      `ipam.resolvConf must be an absolute path, not ${JSON.stringify(path)}`,
    );
  }
  return path;
}

/** host-local adds the three places up; an address named in several counts once. */
function requestedOf({ cniArgs, configArgs, runtimeConfig }: AddressingInput): Ip[] {
  const all = [
    ...(cniArgs.IP ? [asRequestedIp(cniArgs.IP, 'CNI_ARGS IP')] : []),
    ...(configArgs?.list('ips', asRequestedIp) ?? []),
    ...(runtimeConfig?.list('ips', asRequestedIp) ?? []),
  ];
  return all.filter((address, i) => all.findIndex((other) => sameIp(other, address)) === i);
}

/** What results before 0.3.0 cannot express is refused before anything is made. */
function checkLegacyResult(addressing: Addressing, version: CniVersion): void {
  if (addressing.kind === 'none') {
    throw new CniError(
      'invalid-config',
      'cannot convert: no valid IP addresses',
      `results of CNI version ${version} need an address, and the network gives none`,
    );
  }
  if (addressing.kind !== 'ranges') return;
  const families = addressing.sets.flatMap((set): Family[] => (set[0] ? [set[0].subnet.family] : []));
  if (new Set(families).size < families.length) {
    throw new CniError(
      'invalid-config',
      `CNI version ${version} does not support more than 1 address per family`,
    );
  }
}
