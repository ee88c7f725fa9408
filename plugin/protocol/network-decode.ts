/** stdin's configuration → `NetworkConfig`. */
import { decodeAddressing } from './addressing.ts';
import { decodeBridgeOptions } from './bridge-options.ts';
import { decodeAliases, decodeBandwidth, decodePodAnnotations, decodePortMappings } from './capabilities.ts';
import type { CniArgs } from './cni-args.ts';
import { Fields } from './fields.ts';
import type { Input } from './input.ts';
import type { NetworkConfig } from './network.ts';
import { decodeDns, decodeRuntimeDns } from './routes.ts';
import { asUnicastMac } from './scalars.ts';

/**
 * Keys nobody knows are ignored, as every plugin does. CniError `unsupported-field` (2), `undecodable`
 * (6: a value of another type) and `invalid-config` (7).
 */
export function decodeNetwork({ fields, name, version }: Input, cniArgs: CniArgs): NetworkConfig {
  const runtimeConfig = fields.object('runtimeConfig') ?? Fields.of({}, 'runtimeConfig');
  const configArgs = fields.object('args')?.object('cni');
  const addressing = decodeAddressing({ version, network: fields, runtimeConfig, configArgs, cniArgs });
  return {
    cniVersion: version,
    name,
    addressing,
    bridge: decodeBridgeOptions(fields, addressing),
    dns: decodeRuntimeDns(runtimeConfig.object('dns')) ?? decodeDns(fields.object('dns')),
    mac: decodeMac({ runtimeConfig, configArgs, cniArgs }),
    hostPorts: decodePortMappings(runtimeConfig),
    bandwidth: decodeBandwidth(runtimeConfig),
    aliases: decodeAliases(runtimeConfig, name),
    cgroupPath: runtimeConfig.string('cgroupPath'),
    podAnnotations: decodePodAnnotations(runtimeConfig),
  };
}

interface MacPlaces {
  readonly runtimeConfig: Fields;
  readonly configArgs: Fields | undefined;
  readonly cniArgs: CniArgs;
}

/** The reference bridge's precedence: runtimeConfig over `args.cni` over CNI_ARGS. */
function decodeMac({ runtimeConfig, configArgs, cniArgs }: MacPlaces): string | undefined {
  const places: [text: string | undefined, path: string][] = [
    [runtimeConfig.string('mac'), 'runtimeConfig.mac'],
    [configArgs?.string('mac'), 'args.cni.mac'],
    [cniArgs.MAC, 'CNI_ARGS MAC'],
  ];
  for (const [text, path] of places) if (text) return asUnicastMac(text, path);
  return undefined;
}
