/** The host's settings that a packet of a pod depends on, on every interface that it passes. */
import { acceptRa } from '../../kernel/advertised-routes.ts';
import { readSysctl } from '../../kernel/sysctl.ts';
import { deviceName, hasTunnel } from '../overlay/device.ts';
import type { FamilyState } from '../overlay/state.ts';

export interface Setting {
  /** A path below /proc/sys. */
  readonly key: string;
  readonly value: string;
  /** What fails without it. */
  readonly why: string;
}

export interface SettingsInput {
  readonly families: readonly Pick<FamilyState, 'network' | 'underlay' | 'backend'>[];
  /** Bridges that pods are on. */
  readonly bridges: readonly string[];
  /** Links of the default routes: what pods send outside the cluster leaves by them. */
  readonly egress: readonly string[];
  /** Links whose default route comes from router advertisements. */
  readonly advertised: readonly string[];
  /** Some of what pods send to nodes leaves with pods' own addresses. */
  readonly unmasqueraded: boolean;
}

/** In the order in which they are to be set. Those that are right already may be among them. */
export function desiredSettings(input: SettingsInput): Setting[] {
  return input.families.flatMap((state) =>
    state.network.family === 'ipv4' ? ipv4Settings(state, input) : ipv6Settings(state, input),
  );
}

function ipv4Settings(
  { underlay, backend }: SettingsInput['families'][number],
  { bridges, egress, unmasqueraded }: SettingsInput,
): Setting[] {
  const device = hasTunnel(backend) ? [deviceName('ipv4', backend.vni)] : [];
  const below = underlay ? [underlay.name] : [];
  const passed = new Set([...below, ...device, ...bridges, ...egress]);
  // A pod's own address reaches nodes by the underlay, and the answer comes through the tunnel.
  const bothWays = backend.type !== 'vxlan' || unmasqueraded;
  return [
    { key: 'net/ipv4/ip_forward', value: '1', why: 'pods are not routed' },
    // The kernel asks the interface that a packet came in by (net/ipv4/route.c, ip_route_input_slow).
    ...[...passed].map((name) => ({
      key: `net/ipv4/conf/${name}/forwarding`,
      value: '1',
      why: `packets of pods that come in by ${name} are dropped`,
    })),
    ...[...device, ...(bothWays ? below : [])].flatMap(loosened),
  ];
}

function ipv6Settings(
  { underlay, backend }: SettingsInput['families'][number],
  { bridges, advertised }: SettingsInput,
): Setting[] {
  const below = underlay && readSysctl(acceptRa(underlay.name)) === '1' ? [underlay.name] : [];
  const device = hasTunnel(backend) ? [deviceName('ipv6', backend.vni)] : [];
  return [
    ...[...new Set([...below, ...advertised])].map((name) => ({
      key: acceptRa(name),
      value: '2',
      why: `this host loses its default route on ${name}, and learns none from router advertisements`,
    })),
    { key: 'net/ipv6/conf/all/forwarding', value: '1', why: 'pods are not routed' },
    ...[...device, ...bridges].map((name) => ({
      key: `net/ipv6/conf/${name}/disable_ipv6`,
      value: '0',
      why: `${name} has no IPv6`,
    })),
  ];
}

/**
 * Strict filtering (1), of `all` or of the interface, becomes loose (2) on the interface, since packets of one flow may
 * come in by either way; off stays off (Documentation/networking/ip-sysctl.rst, rp_filter).
 */
function loosened(name: string): Setting[] {
  const key = `net/ipv4/conf/${name}/rp_filter`;
  const strict = [readSysctl('net/ipv4/conf/all/rp_filter'), readSysctl(key)].includes('1');
  const why = `packets of pods that come in by ${name} are dropped where the answer takes another way`;
  return strict ? [{ key, value: '2', why }] : [];
}
