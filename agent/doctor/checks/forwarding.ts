/** Settings of the kernel that a pod's packet depends on (agent/sysctl sets them while it runs). */
import { linksToKeepAdvertised } from '../../../kernel/advertised-routes.ts';
import { linkByName } from '../../../kernel/link.ts';
import { readSysctl } from '../../../kernel/sysctl.ts';
import { isUnmasqueraded } from '../../host-state.ts';
import { desiredSettings, type Setting } from '../../sysctl/desired-settings.ts';
import { type Check, type Finding, ok, orOk, unknown } from '../finding.ts';
import type { DoctorHost } from '../host.ts';

const isForwarding = ({ key }: Setting): boolean => key.endsWith('forward') || key.endsWith('forwarding');

export const forwarding: Check = {
  name: 'forwarding',
  title: 'Forwarding',
  look: (host) => {
    if (!host.saved) return withoutLease(host);
    const wrong = settingsOf(host).filter((setting) => isForwarding(setting) && differs(setting));
    return orOk(wrong.map(asFinding), "on, and on every interface that pods' packets pass");
  },
};

/** Before weft has run: it switches forwarding on by itself. */
const withoutLease = ({ config }: DoctorHost): Finding => {
  const families = new Set(config.networks.map(({ cidr }) => cidr.family));
  const off = [
    ...(families.has('ipv4') && readSysctl('net/ipv4/ip_forward') !== '1' ? ['IPv4'] : []),
    ...(families.has('ipv6') && readSysctl('net/ipv6/conf/all/forwarding') !== '1' ? ['IPv6'] : []),
  ];
  return ok(off.length ? `off for ${off.join(' and ')}; weftd switches it on` : 'on');
};

export const reversePath: Check = {
  name: 'rp-filter',
  title: 'Reverse path filter',
  look: (host) => {
    if (!host.saved) return unknown(host.unsaved);
    const wrong = settingsOf(host).filter(
      (setting) => setting.key.endsWith('/rp_filter') && differs(setting),
    );
    return orOk(wrong.map(asFinding), "not strict on the interfaces by which pods' packets come in");
  },
};

export const settings: Check = {
  name: 'settings',
  title: 'Other settings',
  look: (host) => {
    if (!host.saved) return unknown(host.unsaved);
    const others = settingsOf(host).filter(
      (setting) => !isForwarding(setting) && !setting.key.endsWith('/rp_filter') && differs(setting),
    );
    return orOk(others.map(asFinding), 'as weft needs them');
  },
};

function settingsOf({ saved, pods, underlay, rtnl, config }: DoctorHost): Setting[] {
  const families = saved?.host.families ?? [];
  const hasIpv6 = families.some(({ network }) => network.family === 'ipv6');
  return desiredSettings({
    families,
    bridges: [...new Set(pods.map(({ bridge }) => bridge))],
    egress: underlay.current?.egress ?? [],
    advertised: hasIpv6 ? linksToKeepAdvertised(rtnl) : [],
    unmasqueraded: isUnmasqueraded(config),
  });
}

function differs({ key, value }: Setting): boolean {
  const now = readSysctl(key);
  return now !== undefined && now !== value;
}

/** Of the reverse path filter the larger one counts, that of all interfaces or its own. */
function inForce(key: string): string {
  const own = readSysctl(key) ?? '';
  if (!key.endsWith('/rp_filter')) return own;
  return String(Math.max(Number(own), Number(readSysctl('net/ipv4/conf/all/rp_filter'))));
}

const asFinding = ({ key, value, why }: Setting): Finding => ({
  severity: 'failed',
  subject: key.replace(/^net\//, 'net.').replaceAll('/', '.'),
  found: `${inForce(key)}: ${why}`,
  wanted: value,
  // With slashes, since names of interfaces may have dots (sysctl(8)).
  remedy: `sysctl -w ${key}=${value}`,
});

/** What passes the bridge between two pods of this node, and iptables (Documentation/networking/ip-sysctl.rst). */
export const bridgeNetfilter: Check = {
  name: 'bridge-netfilter',
  title: 'br_netfilter',
  look: ({ rtnl, pods }) => {
    const calls = readSysctl('net/bridge/bridge-nf-call-iptables');
    const bridges = [...new Set(pods.map(({ bridge }) => bridge))].filter((name) => linkByName(rtnl, name));
    const where = bridges.length ? ` on ${bridges.join(', ')}` : '';
    if (calls === undefined)
      return ok('not loaded; kube-proxy in iptables mode needs it: modprobe br_netfilter');
    return ok(
      calls === '1'
        ? `packets between pods${where} pass iptables`
        : `packets between pods${where} do not pass iptables`,
    );
  },
};
