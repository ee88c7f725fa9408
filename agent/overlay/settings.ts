/** The host's settings that an overlay needs, as a function of its state and of what they are. */
import { readSysctl } from '../../kernel/sysctl.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import { deviceName, hasTunnel } from './device.ts';
import type { OverlayState } from './state.ts';

export interface Setting {
  /** A path below /proc/sys. */
  readonly key: string;
  readonly value: string;
}

/** What has to be set; settings that are right already may be among them. Reads, and changes nothing. */
export function settingsOf(state: Pick<OverlayState, 'network' | 'underlay' | 'backend'>): Setting[] {
  const underlay = state.underlay.name;
  if (state.network.family === 'ipv6') return [...keptRouterAdvertisements(underlay), forwarding.ipv6];
  // Peers change from one way to the other when they please: a packet may come in by the one that is not ours.
  const device = hasTunnel(state.backend) ? [deviceName('ipv4', state.backend.vni)] : [];
  const links = state.backend.type === 'vxlan' ? device : [underlay, ...device];
  return [forwarding.ipv4, ...links.flatMap(loosened)];
}

/** Returns what was changed, in words. */
export function ensureSettings(settings: readonly Setting[], set: SetSysctl): string[] {
  return settings.flatMap(({ key, value }) => {
    const before = set(key, value);
    return before === undefined ? [] : `${key}: ${before} -> ${value}`;
  });
}

/** What `ensureSettings` would change. */
export const previewSettings = (settings: readonly Setting[]): string[] =>
  settings.flatMap(({ key, value }) => {
    const now = readSysctl(key);
    return now === undefined || now === value ? [] : `${key}: ${now} -> ${value}`;
  });

const forwarding = {
  ipv4: { key: 'net/ipv4/ip_forward', value: '1' },
  ipv6: { key: 'net/ipv6/conf/all/forwarding', value: '1' },
} as const;

/**
 * A forwarding host stops to heed router advertisements, and with them its own default route, unless told
 * otherwise (Documentation/networking/ip-sysctl.rst, accept_ra).
 */
function keptRouterAdvertisements(underlay: string): Setting[] {
  const key = `net/ipv6/conf/${underlay}/accept_ra`;
  return readSysctl(key) === '1' ? [{ key, value: '2' }] : [];
}

/**
 * Reverse-path filters let a packet come in on either way while the two ends have not both changed yet: strict
 * filtering (1) of either `all` or the interface becomes loose (2) on the interface; off stays off.
 */
function loosened(name: string): Setting[] {
  const key = `net/ipv4/conf/${name}/rp_filter`;
  const strict = [readSysctl('net/ipv4/conf/all/rp_filter'), readSysctl(key)].includes('1');
  return strict ? [{ key, value: '2' }] : [];
}
