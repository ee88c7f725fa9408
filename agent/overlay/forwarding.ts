/** The switch that makes a host forward. Returns what was changed, in words. */
import type { Family } from '../../inet/ip.ts';
import { ensureSysctl, readSysctl } from '../../kernel/sysctl.ts';

export function ensureForwarding(underlay: string, family: Family): string[] {
  const done: string[] = [];
  const ensure = (key: string, value: string) => {
    const before = ensureSysctl(key, value);
    if (before !== undefined) done.push(`${key}: ${before} -> ${value}`);
  };
  if (family === 'ipv4') {
    ensure('net/ipv4/ip_forward', '1');
  } else {
    // A forwarding host stops to heed router advertisements, and with them its own default route, unless told
    // otherwise (Documentation/networking/ip-sysctl.rst, accept_ra).
    const acceptRa = `net/ipv6/conf/${underlay}/accept_ra`;
    if (readSysctl(acceptRa) === '1') ensure(acceptRa, '2');
    ensure('net/ipv6/conf/all/forwarding', '1');
  }
  return done;
}
