/** The reference bridge plugin's options (`plugins/main/bridge/bridge.go`, `NetConf`). */
import { CniError } from '../errors.ts';
import { excerpt, type Fields } from './fields.ts';
import { interfaceNameComplaint } from './names.ts';
import type { Addressing, BridgeOptions } from './network.ts';

/** Options that would need VLAN filtering on the bridge, each with the values that ask for nothing. */
const refused: Readonly<Record<string, (value: unknown) => boolean>> = {
  vlan: (value) => value === 0,
  vlanTrunk: (value) => Array.isArray(value) && value.length === 0,
};

/** What the kernel takes for a device that carries IP: RFC 791's minimum to the 16-bit length field. */
const mtuLimits = { least: 68, most: 65535 };

export function decodeBridgeOptions(network: Fields, addressing: Addressing): BridgeOptions {
  refuseVlans(network);
  // It says what becomes of VLAN 1 where `vlan` is set, which it is not.
  network.boolean('preserveDefaultVlan');
  // A leased subnet is useless without its gateway, a pod must reach itself through a Service, and who has an
  // address of a lease has no other.
  const leased = addressing.kind === 'lease';
  const isDefaultGateway = network.boolean('isDefaultGateway') ?? leased;
  const isGateway = network.boolean('isGateway') ?? leased;
  const promiscMode = network.boolean('promiscMode') ?? false;
  const options: BridgeOptions = {
    bridge: bridgeName(network),
    isGateway: isGateway || isDefaultGateway,
    isDefaultGateway,
    forceAddress: network.boolean('forceAddress') ?? false,
    ipMasq: ipMasq(network),
    mtuBytes: mtu(network),
    hairpinMode: network.boolean('hairpinMode') ?? (leased && !promiscMode),
    promiscMode,
    macspoofchk: network.boolean('macspoofchk') ?? false,
    holdsMac: network.boolean('macspoofchk') ?? leased,
    ipspoofchk: network.boolean('ipspoofchk') ?? leased,
    portIsolation: network.boolean('portIsolation') ?? false,
    enabledad: network.boolean('enabledad') ?? false,
    disableContainerInterface: network.boolean('disableContainerInterface') ?? false,
  };
  refuseContradictions(options, addressing);
  return options;
}

function refuseVlans(network: Fields): void {
  for (const [key, asksForNothing] of Object.entries(refused)) {
    const value = network.raw(key);
    if (value === undefined || asksForNothing(value)) continue;
    throw new CniError(
      'unsupported-field',
      `unsupported field ${key}: ${excerpt(value)}`,
      'weft does not separate pods by VLAN: remove the field, or give each network a bridge of its own',
    );
  }
}

function refuseContradictions(options: BridgeOptions, addressing: Addressing): void {
  if (options.hairpinMode && options.promiscMode) {
    throw new CniError('invalid-config', 'cannot set hairpin mode and promiscuous mode at the same time');
  }
  if (options.disableContainerInterface && addressing.kind !== 'none') {
    throw new CniError('invalid-config', 'cannot use IPAM when DisableContainerInterface flag is set');
  }
}

function bridgeName(network: Fields): string {
  const name = network.string('bridge') ?? 'cni0';
  const complaint = interfaceNameComplaint(name);
  if (complaint !== undefined) {
    throw new CniError('invalid-config', `bridge ${excerpt(name)} cannot be used: ${complaint}`);
  }
  return name;
}

function mtu(network: Fields): number | undefined {
  const bytes = network.integer('mtu') ?? 0;
  if (bytes === 0) return undefined;
  if (bytes < mtuLimits.least || bytes > mtuLimits.most) {
    throw new CniError(
      'invalid-config',
      `mtu must be 0 or from ${mtuLimits.least} to ${mtuLimits.most}, not ${bytes}`,
    );
  }
  return bytes;
}

function ipMasq(network: Fields): boolean {
  const backend = network.string('ipMasqBackend');
  if (backend !== undefined && backend !== 'nftables') {
    throw new CniError(
      'unsupported-field',
      `unsupported field ipMasqBackend: ${excerpt(backend)}`,
      'weft masquerades by nftables alone: remove the field',
    );
  }
  return network.boolean('ipMasq') ?? false;
}
