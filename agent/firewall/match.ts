/** Matches in nft's language that several parts share. */
import { deviceName } from '../overlay/device.ts';
import type { Tunnel } from './desired.ts';

/**
 * Our packets among those of everybody who uses the port. The VXLAN network identifier is 24 bits, 12 bytes
 * after the start of the UDP header (RFC 7348, section 5).
 */
export const matchOf = ({ port, vni }: Pick<Tunnel, 'port' | 'vni'>): string =>
  `udp dport ${port} @th,96,24 ${vni}`;

/** The tunnel's devices; none where no tunnel is in use. */
export const tunnelDevices = (tunnel: Pick<Tunnel, 'vni'> | undefined): string[] =>
  tunnel ? (['ipv4', 'ipv6'] as const).map((family) => deviceName(family, tunnel.vni)) : [];

/** A set of interfaces: `{ "cni0", "weft.1" }`. */
export const namesOf = (interfaces: readonly string[]): string =>
  `{ ${interfaces.map((name) => `"${name}"`).join(', ')} }`;

/** Each name once and in order, so that the order of pods changes no rule; none that nft would not read as a name. */
export const usableNames = (interfaces: readonly string[]): string[] =>
  [...new Set(interfaces)].filter((name) => /^[\w.:@+-]+$/.test(name)).sort();
